#define LANES_ISA avx512
#include "cpu/simd/simd_avx512-inl.h"
#include "cpu/rope/rope-inl.h"
