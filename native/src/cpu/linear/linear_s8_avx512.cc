#define LANES_ISA avx512
#include "cpu/simd/simd_avx512-inl.h"
#include "cpu/simd/math-inl.h"
#include "cpu/simd/quantize-inl.h"
#include "cpu/linear/linear_s8-inl.h"
