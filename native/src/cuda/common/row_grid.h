// Grids of ops on rows. Host decisions: plain C++.
#ifndef LANES_CUDA_COMMON_ROW_GRID_H_
#define LANES_CUDA_COMMON_ROW_GRID_H_

#include <stdint.h>

#include <algorithm>

namespace lanes::cuda {

inline constexpr int64_t kMaxGridX = 0x7FFFFFFF;
inline constexpr int64_t kMaxGridY = 0xFFFF;

// Whether `count` rows of floats (or of `element_bytes`) consist of whole aligned groups of four: by their length, where they begin,
// and, when there are several, their distance. Null is fine.
inline bool InFours(const void* rows, int64_t count, int64_t cols, int64_t stride, int64_t element_bytes = 4) {
  const int64_t group = 4 * element_bytes;
  return cols % 4 == 0 && reinterpret_cast<uintptr_t>(rows) % static_cast<uintptr_t>(group) == 0 && (count <= 1 || stride % 4 == 0);
}

// block_x threads along a row, each with a group of its columns, and block_y rows; grid_x blocks along rows, grid_y along groups. Kernels go
// on in steps of the whole grid, so that any size is covered.
struct RowGridSize {
  uint32_t block_x, block_y, grid_x, grid_y;
};

inline RowGridSize PlanRowGrid(int64_t rows, int64_t groups, int32_t threads) {
  uint32_t x = 1;
  while (x < groups && x < static_cast<uint32_t>(threads)) x *= 2;
  const uint32_t y = static_cast<uint32_t>(threads) / x;
  return {x, y, static_cast<uint32_t>(std::min((rows + y - 1) / y, kMaxGridX)),
          static_cast<uint32_t>(std::min((groups + x - 1) / x, kMaxGridY))};
}

// Where a block has a fixed number of rows: calls launch(first row, rows, blocks) for as many rows at a time as a grid has blocks for.
template <class Launch>
void ForRowParts(int64_t rows, int64_t per_block, const Launch& launch) {
  const int64_t part = kMaxGridX * per_block;
  for (int64_t begin = 0; begin < rows; begin += part) {
    const int64_t count = std::min(part, rows - begin);
    launch(begin, count, static_cast<uint32_t>((count + per_block - 1) / per_block));
  }
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_ROW_GRID_H_
