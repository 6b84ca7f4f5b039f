#define LANES_ISA neon
#include "cpu/simd/simd_neon-inl.h"
#include "cpu/kv_write/kv_write-inl.h"
