#define LANES_ISA neon
#include "cpu/simd/simd_neon-inl.h"
#include "cpu/rope/rope-inl.h"
