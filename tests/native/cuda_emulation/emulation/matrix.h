// Tensor-core arithmetic, the same for mma.sync and wgmma, so that both give the same bits here.
//
// Float products: a step of 16 along k adds its 16 exact products, k ascending, to the accumulator in double, and rounds once to float. That is a
// model: the hardware aligns the products of a step to the largest and truncates what falls out, which nobody promises.
#ifndef LANES_TESTS_CUDA_EMULATION_MATRIX_H_
#define LANES_TESTS_CUDA_EMULATION_MATRIX_H_

#include <stdint.h>

namespace lanes::cuda::emulation {

struct alignas(64) TileA {
  double v[16][16];  // [row][k]
};
struct alignas(64) TileB {
  double v[16][8];  // [k][column]
};
// d[i * row_stride + j] += sum over k of a[i][k] b[k][j], for 16 rows and 8 columns.
void MultiplyAdd(const TileA& a, const TileB& b, float* d, int row_stride);

struct alignas(64) TileA8 {
  int16_t v[16][32];  // [row][k]
};
struct alignas(64) TileB8 {
  int16_t v[8][32];  // [column][k]
};
// Wraps where a sum passes 2^31, as the instruction without .satfinite does.
void MultiplyAdd(const TileA8& a, const TileB8& b, int32_t* d, int row_stride);

float Bf16ToFloat(uint16_t x);
float F16ToFloat(uint16_t x);
uint16_t FloatToBf16(float x);  // half to even; NaN becomes 0x7FFF
uint16_t FloatToF16(float x);   // half to even; NaN becomes 0x7FFF

// What mma.sync and ldmatrix of ptx.cuh do with the registers of a warp's lanes.
enum class Element16 { kBf16, kF16 };
void Mma16(Element16 type, float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
void MmaS8(int32_t (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
void LoadMatrix(uint32_t* r, int matrices, bool transposed, const void* shared_row);

}  // namespace lanes::cuda::emulation

#endif  // LANES_TESTS_CUDA_EMULATION_MATRIX_H_
