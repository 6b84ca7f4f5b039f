#define LANES_ISA neon
#include "cpu/simd/simd_neon-inl.h"
#include "cpu/simd/quantize-inl.h"
#include "cpu/weight/weight-inl.h"
