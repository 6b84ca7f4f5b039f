// Packing: a tile of the source is converted to the weight's type, then its columns become the panel's rows. Include after the
// SIMD layer and quantization.
#include <string.h>

#include "lanes/lanes.h"
#include "ops/weight.h"

namespace lanes {
namespace LANES_ISA {
namespace {

constexpr int64_t kTileCols = 64;

inline F32 LoadAs(int32_t dtype, const char* p, int64_t n) {
  const uint16_t* halves = reinterpret_cast<const uint16_t*>(p);
  if (dtype == LANES_F32) return LoadN(reinterpret_cast<const float*>(p), n);
  if (dtype == LANES_S8) {
    int8_t bytes[kLanes] = {};
    memcpy(bytes, p, static_cast<size_t>(n));
    return ToFloat(LoadS8(bytes));
  }
  return dtype == LANES_BF16 ? LoadBf16N(halves, n) : LoadF16N(halves, n);
}

inline void StoreAs(int32_t dtype, char* p, F32 value, int64_t n) {
  uint16_t* halves = reinterpret_cast<uint16_t*>(p);
  if (dtype == LANES_F32) {
    StoreN(reinterpret_cast<float*>(p), value, n);
  } else if (dtype == LANES_BF16) {
    StoreBf16N(halves, value, n);
  } else {
    StoreF16N(halves, value, n);
  }
}

inline F32 LoadWholeAs(int32_t dtype, const char* p) {
  const uint16_t* halves = reinterpret_cast<const uint16_t*>(p);
  if (dtype == LANES_F32) return Load(reinterpret_cast<const float*>(p));
  if (dtype == LANES_S8) return ToFloat(LoadS8(reinterpret_cast<const int8_t*>(p)));
  return dtype == LANES_BF16 ? LoadBf16(halves) : LoadF16(halves);
}

inline void StoreWholeAs(int32_t dtype, char* p, F32 value) {
  uint16_t* halves = reinterpret_cast<uint16_t*>(p);
  if (dtype == LANES_F32) {
    Store(reinterpret_cast<float*>(p), value);
  } else if (dtype == LANES_BF16) {
    StoreBf16(halves, value);
  } else {
    StoreF16(halves, value);
  }
}

inline int64_t ElementBytes(int32_t dtype) { return dtype == LANES_F32 ? 4 : dtype == LANES_S8 ? 1 : 2; }

void Convert(const char* src, int32_t src_dtype, int64_t count, char* dst, int32_t dst_dtype) {
  if (src_dtype == dst_dtype) {
    memcpy(dst, src, static_cast<size_t>(count * ElementBytes(dst_dtype)));
    return;
  }
  int64_t i = 0;
  // Whole vectors without masks: what a masked store has written cannot be forwarded to the loads that follow.
  for (; i + kLanes <= count; i += kLanes) {
    StoreWholeAs(dst_dtype, dst + i * ElementBytes(dst_dtype), LoadWholeAs(src_dtype, src + i * ElementBytes(src_dtype)));
  }
  if (i < count) {
    const int64_t n = count - i;
    StoreAs(dst_dtype, dst + i * ElementBytes(dst_dtype), LoadAs(src_dtype, src + i * ElementBytes(src_dtype), n), n);
  }
}

// The same from int8 elements, each times its scale.
void ConvertScaled(const char* src, int64_t count, const float* scales, int64_t scale_stride, char* dst, int32_t dst_dtype) {
  for (int64_t i = 0; i < count; i += kLanes) {
    const int64_t n = count - i < kLanes ? count - i : kLanes;
    const F32 scale = scale_stride == 0 ? Set(scales[0]) : LoadN(scales + i, n);
    StoreAs(dst_dtype, dst + i * ElementBytes(dst_dtype), Mul(LoadAs(LANES_S8, src + i, n), scale), n);
  }
}

// Part [first, last) of a panel's lanes; `src_row` is the source row of lane `first`.
struct LaneRange {
  int64_t first, last, src_row;
  char* panel;
  int64_t width;
};

// tile is [lanes][kTileCols] units; unit (lane, c) goes to panel row `to + c`.
template <class Unit>
void Scatter(const LaneRange& lanes, const char* tile, int64_t cols, int64_t to) {
  const Unit* from = reinterpret_cast<const Unit*>(tile);
  const int64_t count = lanes.last - lanes.first;
  const int64_t stride = kTileCols * 4 / static_cast<int64_t>(sizeof(Unit));
  Unit* out = reinterpret_cast<Unit*>(lanes.panel) + to * lanes.width + lanes.first;
  for (int64_t c = 0; c < cols; ++c) {
    for (int64_t lane = 0; lane < count; ++lane) out[c * lanes.width + lane] = from[lane * stride + c];
  }
}

inline void StoreBf16Element(const LaneRange& lanes, int64_t lane, int64_t col, uint16_t half) {
  reinterpret_cast<uint16_t*>(lanes.panel)[(col >> 1) * 2 * lanes.width + 2 * lane + (col & 1)] = half;
}

void ScatterBf16(const LaneRange& lanes, const char* tile, int64_t cols, int64_t to) {
  const int64_t count = lanes.last - lanes.first;
  const uint16_t* from = reinterpret_cast<const uint16_t*>(tile);
  int64_t done = 0;
  if (to % 2 == 0) {
    Scatter<uint32_t>(lanes, tile, cols / 2, to / 2);
    done = cols / 2 * 2;
  }
  for (int64_t c = done; c < cols; ++c) {
    for (int64_t lane = 0; lane < count; ++lane) {
      StoreBf16Element(lanes, lanes.first + lane, to + c, from[lane * kTileCols * 2 + c]);
    }
  }
}

void PackRows(const WeightPackArgs& args, const LaneRange& lanes) {
  const int32_t dtype = args.weight.dtype;
  const int64_t src_bytes = ElementBytes(args.src_dtype);
  // Row-major tile; rows are kTileCols * 4 bytes apart for every type.
  alignas(64) char tile[kPanelRows * kTileCols * 4];
  for (int64_t c = 0; c < args.col_count; c += kTileCols) {
    const int64_t cols = args.col_count - c < kTileCols ? args.col_count - c : kTileCols;
    for (int64_t lane = 0; lane < lanes.last - lanes.first; ++lane) {
      const char* src = args.src + ((lanes.src_row + lane) * args.col_count + c) * src_bytes;
      if (args.src_dtype == LANES_S8) {
        ConvertScaled(src, cols, args.scales + lanes.src_row + lane, 0, tile + lane * kTileCols * 4, dtype);
      } else {
        Convert(src, args.src_dtype, cols, tile + lane * kTileCols * 4, dtype);
      }
    }
    const int64_t to = args.col_begin + c;
    if (dtype == LANES_F32) {
      Scatter<uint32_t>(lanes, tile, cols, to);
    } else if (dtype == LANES_F16) {
      Scatter<uint16_t>(lanes, tile, cols, to);
    } else {
      ScatterBf16(lanes, tile, cols, to);
    }
  }
}

// Column c of the lanes, which stands together in a transposed source.
void ConvertTransposedRun(const WeightPackArgs& args, const LaneRange& lanes, int64_t c, char* dst) {
  const char* src = args.src + (c * args.row_count + lanes.src_row) * ElementBytes(args.src_dtype);
  const int64_t count = lanes.last - lanes.first;
  if (args.src_dtype == LANES_S8) {
    ConvertScaled(src, count, args.scales + lanes.src_row, 1, dst, args.weight.dtype);
  } else {
    Convert(src, args.src_dtype, count, dst, args.weight.dtype);
  }
}

void PackTransposedBf16(const WeightPackArgs& args, const LaneRange& lanes) {
  const int64_t count = lanes.last - lanes.first;
  alignas(64) uint16_t even[kPanelRows], odd[kPanelRows];
  for (int64_t c = 0; c < args.col_count;) {
    const int64_t col = args.col_begin + c;
    ConvertTransposedRun(args, lanes, c, reinterpret_cast<char*>(even));
    if (col % 2 != 0 || c + 1 == args.col_count) {
      for (int64_t lane = 0; lane < count; ++lane) StoreBf16Element(lanes, lanes.first + lane, col, even[lane]);
      c += 1;
      continue;
    }
    ConvertTransposedRun(args, lanes, c + 1, reinterpret_cast<char*>(odd));
    uint32_t* out = reinterpret_cast<uint32_t*>(lanes.panel) + col / 2 * lanes.width + lanes.first;
    for (int64_t lane = 0; lane < count; ++lane) out[lane] = even[lane] | static_cast<uint32_t>(odd[lane]) << 16;
    c += 2;
  }
}

void PackTransposed(const WeightPackArgs& args, const LaneRange& lanes) {
  const int32_t dtype = args.weight.dtype;
  if (dtype == LANES_BF16) {
    PackTransposedBf16(args, lanes);
    return;
  }
  for (int64_t c = 0; c < args.col_count; ++c) {
    char* out = lanes.panel + ((args.col_begin + c) * lanes.width + lanes.first) * ElementBytes(dtype);
    ConvertTransposedRun(args, lanes, c, out);
  }
}

}  // namespace
}  // namespace LANES_ISA
}  // namespace lanes

#include "cpu/weight/weight_s8-inl.h"

namespace lanes {
namespace LANES_ISA {
namespace {

void WeightPack(OpContext& context, const WeightPackArgs& args) {
  const WeightView& w = args.weight;
  const int64_t row_end = args.row_begin + args.row_count;
  const int64_t first = args.row_begin / kPanelRows, panels = (row_end - 1) / kPanelRows - first + 1;
  ParallelFor(context, panels, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t panel = first + begin; panel < first + end; ++panel) {
      const int64_t base = panel * kPanelRows;
      const int64_t from = args.row_begin > base ? args.row_begin : base;
      const int64_t to = row_end < base + kPanelRows ? row_end : base + kPanelRows;
      const LaneRange lanes = {from - base, to - base, from - args.row_begin, w.data + PanelOffset(w, panel),
                               PanelWidth(w, panel)};
      if (w.dtype == LANES_S8) {
        PackS8(args, lanes);
      } else if (args.transposed) {
        PackTransposed(args, lanes);
      } else {
        PackRows(args, lanes);
      }
    }
  });
}

}  // namespace

extern const WeightKernel weight_kernel;
const WeightKernel weight_kernel = {WeightPack};

}  // namespace LANES_ISA
}  // namespace lanes
