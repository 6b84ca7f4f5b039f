#define LANES_ISA neondot
#include "cpu/simd/simd_neon-inl.h"
#include "cpu/simd/math-inl.h"
#include "cpu/simd/quantize-inl.h"
#include "cpu/linear/linear_s8-inl.h"
