#define LANES_ISA avx512
#include "cpu/simd/simd_avx512-inl.h"
#include "cpu/kv_write/kv_write-inl.h"
