#define LANES_ISA avx512
#include "cpu/simd/simd_avx512-inl.h"
#include "cpu/simd/math-inl.h"
#include "cpu/sample/sample-inl.h"
