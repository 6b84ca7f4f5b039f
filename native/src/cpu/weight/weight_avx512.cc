#define LANES_ISA avx512
#include "cpu/simd/simd_avx512-inl.h"
#include "cpu/simd/quantize-inl.h"
#include "cpu/weight/weight-inl.h"
