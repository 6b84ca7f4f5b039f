#define LANES_ISA avx2
#include "cpu/simd/simd_avx2-inl.h"
#include "cpu/combine/combine-inl.h"
