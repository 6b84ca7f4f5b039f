// Packing of s8 weights: rows are quantized or copied into a tile, then four columns at a time become a panel's lanes. Part of
// weight-inl.h.

namespace lanes {
namespace LANES_ISA {
namespace {

constexpr int64_t kTileColsS8 = 256;
// Source elements that are widened at a time.
constexpr int64_t kWidenCols = 256;

// The source's elements of one row, wherever they stand.
struct SourceRow {
  const char* first;
  int32_t dtype;
  int64_t stride;  // elements between columns

  const char* At(int64_t c) const { return first + c * stride * ElementBytes(dtype); }
  // Columns c … c + count - 1, count <= kWidenCols, as float32.
  void Widen(int64_t c, int64_t count, float* out) const {
    if (stride == 1) {
      Convert(At(c), dtype, count, reinterpret_cast<char*>(out), LANES_F32);
    } else {
      for (int64_t i = 0; i < count; ++i) Convert(At(c + i), dtype, 1, reinterpret_cast<char*>(out + i), LANES_F32);
    }
  }
};

SourceRow RowOf(const WeightPackArgs& args, int64_t r) {
  const int64_t first = args.transposed ? r : r * args.col_count;
  return {args.src + first * ElementBytes(args.src_dtype), args.src_dtype, args.transposed ? args.row_count : 1};
}

RowQuantizer QuantizerOf(const WeightPackArgs& args, int64_t r) {
  const SourceRow source = RowOf(args, r);
  Largest largest;
  alignas(64) float values[kWidenCols];
  for (int64_t c = 0; c < args.col_count; c += kWidenCols) {
    const int64_t count = args.col_count - c < kWidenCols ? args.col_count - c : kWidenCols;
    source.Widen(c, count, values);
    for (int64_t i = 0; i < count; i += kLanes) largest.See(LoadN(values + i, count - i < kLanes ? count - i : kLanes));
  }
  return RowQuantizer(QuantizationOfWeight(args.scales == nullptr ? nullptr : args.scales + r), largest);
}

// Columns c … c + count - 1 of source row r, as int8.
void FillTileRow(const WeightPackArgs& args, int64_t r, const RowQuantizer& quantizer, int64_t c, int64_t count, int8_t* out) {
  const SourceRow source = RowOf(args, r);
  if (args.src_dtype == LANES_S8) {
    if (source.stride == 1) {
      memcpy(out, source.At(c), static_cast<size_t>(count));
    } else {
      for (int64_t i = 0; i < count; ++i) out[i] = static_cast<int8_t>(*source.At(c + i));
    }
  } else if (quantizer.zero()) {
    memset(out, 0, static_cast<size_t>(count));
  } else {
    alignas(64) float values[kWidenCols];
    static_assert(kTileColsS8 <= kWidenCols, "a tile's row is widened at once");
    source.Widen(c, count, values);
    for (int64_t i = 0; i < count; i += kLanes) {
      const int64_t lanes = count - i < kLanes ? count - i : kLanes;
      StoreS8N(out + i, quantizer.Convert(LoadN(values + i, lanes)), lanes);
    }
  }
}

// The tile's columns to the panel's from `to` on.
void ScatterS8(const LaneRange& lanes, const int8_t (*tile)[kTileColsS8], int64_t cols, int64_t to) {
  const int64_t count = lanes.last - lanes.first;
  int64_t c = 0;
  if (to % 4 == 0) {
    int32_t* out = reinterpret_cast<int32_t*>(lanes.panel) + to / 4 * lanes.width + lanes.first;
    for (; c + 4 <= cols; c += 4, out += lanes.width) {
      for (int64_t lane = 0; lane < count; ++lane) memcpy(out + lane, &tile[lane][c], 4);
    }
  }
  for (; c < cols; ++c) {
    char* out = lanes.panel + (to + c) / 4 * 4 * lanes.width + 4 * lanes.first + (to + c) % 4;
    for (int64_t lane = 0; lane < count; ++lane) out[4 * lane] = tile[lane][c];
  }
}

// Of all columns: earlier calls may have filled others than this one.
void SumRows(const WeightView& w, const LaneRange& lanes, int64_t row) {
  int32_t sums[kPanelRows] = {};
  for (int64_t c = 0; c < w.padded_cols; c += 4) {
    const int8_t* step = reinterpret_cast<const int8_t*>(lanes.panel) + c * lanes.width;
    for (int64_t lane = lanes.first; lane < lanes.last; ++lane) {
      const int8_t* four = step + 4 * lane;
      sums[lane] += (four[0] + four[1]) + (four[2] + four[3]);
    }
  }
  memcpy(w.sums + row, sums + lanes.first, static_cast<size_t>(lanes.last - lanes.first) * sizeof(int32_t));
}

void PackS8(const WeightPackArgs& args, const LaneRange& lanes) {
  const WeightView& w = args.weight;
  const int64_t count = lanes.last - lanes.first, row = args.row_begin + lanes.src_row;
  const bool copies = args.src_dtype == LANES_S8;
  RowQuantizer quantizers[kPanelRows];
  for (int64_t lane = 0; lane < count; ++lane) {
    if (copies) {
      w.scales[row + lane] = args.scales[lanes.src_row + lane];
    } else {
      quantizers[lane] = QuantizerOf(args, lanes.src_row + lane);
      w.scales[row + lane] = quantizers[lane].scale();
    }
  }
  alignas(64) int8_t tile[kPanelRows][kTileColsS8];
  for (int64_t c = 0; c < args.col_count; c += kTileColsS8) {
    const int64_t cols = args.col_count - c < kTileColsS8 ? args.col_count - c : kTileColsS8;
    for (int64_t lane = 0; lane < count; ++lane) {
      FillTileRow(args, lanes.src_row + lane, quantizers[lane], c, cols, tile[lane]);
    }
    ScatterS8(lanes, tile, cols, args.col_begin + c);
  }
  SumRows(w, lanes, row);
}

}  // namespace
}  // namespace LANES_ISA
}  // namespace lanes
