// y = residual + activation(x * weight^T + bias) with int8 rows and an s8 weight. Include after the SIMD layer, its math,
// transposition and quantization.
//
// The way of linear-inl.h: rows in tiles of kTileRows, packed so that a step of four k is one unit of 32 bits for each row; a
// task takes one panel and a group of tiles, block by block of k. Float rows are quantized on the way into their tiles.
//
// Sums are integers, so their order is free and nothing is rounded before the epilogue. 32 bits hold every sum over
// kSafeSteps; deeper weights add up their blocks' sums in 64 bits.
//
// What an ISA multiplies with is one step of the two below: DotS8, or DotS16 on halves that were widened before.
#include "core/parallel.h"
#include "lanes/lanes.h"
#include "ops/linear.h"

namespace lanes {
namespace LANES_ISA {
namespace {

#define LANES_INLINE static inline __attribute__((always_inline))

constexpr int64_t kTileRows = 6;
// k in one step: the bytes of a lane.
constexpr int64_t kStepDepth = 4;
// 255 * 128 * 4 * kSafeSteps < 2^31.
constexpr int64_t kSafeSteps = 16384;
// A panel's block: stays in the second-level cache while the tiles pass.
constexpr int64_t kBlockSteps = 512;
// The same for few tiles, where reading the panel takes longer than multiplying: in small bites the two go side by side.
constexpr int64_t kFewTiles = 4, kSmallBlockSteps = 64;
// Rows that one task sums at most.
constexpr int64_t kGroupRows = 510;
// Rows packed at a time; each pass reads all weights.
constexpr int64_t kPassRows = 1020;
// Steps between two rounds of prefetches.
constexpr int64_t kStrip = 4;
// A single tile streams the panel: this far ahead.
constexpr int64_t kStreamAhead = 4096;

// ---- How one step multiplies ----------------------------------------------------------------------------------------------
//
// kUnits: units of a row in a step of packed rows, those of all rows for the first, then for the second.
// kBias: what is added to each element of x; it comes off again in the epilogue, with the sums of the weight's rows.

#if LANES_HAS_S8_DOT
struct Product {
  static constexpr int kUnits = 1;
  static constexpr int32_t kBias = LANES_S8_DOT_BIAS;
  template <int kRows, int kVectors>
  LANES_INLINE void Step(const int32_t* a, const char* b, I32 (&sum)[kRows][kVectors]) {
    I32 w[kVectors];
    for (int v = 0; v < kVectors; ++v) w[v] = LoadI(reinterpret_cast<const int32_t*>(b) + v * kLanes);
    for (int i = 0; i < kRows; ++i) {
      const I32 x = SetI(a[i]);
      for (int v = 0; v < kVectors; ++v) sum[i][v] = DotS8(x, w[v], sum[i][v]);
    }
  }
  // 128 turns the sign bit.
  LANES_INLINE void PackUnit(int32_t unit, int32_t* out, int64_t) {
    out[0] = kBias == 0 ? unit : static_cast<int32_t>(static_cast<uint32_t>(unit) ^ 0x80808080u);
  }
};
#else
// Pairs of 16 bits. Bytes times bytes in pairs, which would be half the work, saturate.
struct Product {
  static constexpr int kUnits = 2;
  static constexpr int32_t kBias = 0;
  template <int kRows, int kVectors>
  LANES_INLINE void Step(const int32_t* a, const char* b, I32 (&sum)[kRows][kVectors]) {
    I32 w[kVectors];
    for (int v = 0; v < kVectors; ++v) w[v] = EvenS8(LoadI(reinterpret_cast<const int32_t*>(b) + v * kLanes));
    for (int i = 0; i < kRows; ++i) {
      const I32 x = SetI(a[i]);
      for (int v = 0; v < kVectors; ++v) sum[i][v] = DotS16(x, w[v], sum[i][v]);
    }
    for (int v = 0; v < kVectors; ++v) w[v] = OddS8(LoadI(reinterpret_cast<const int32_t*>(b) + v * kLanes));
    for (int i = 0; i < kRows; ++i) {
      const I32 x = SetI(a[kRows + i]);
      for (int v = 0; v < kVectors; ++v) sum[i][v] = DotS16(x, w[v], sum[i][v]);
    }
  }
  // Bytes 0 and 2, then 1 and 3, as 16 bits each.
  LANES_INLINE void PackUnit(int32_t unit, int32_t* out, int64_t rows) {
    const uint32_t u = static_cast<uint32_t>(unit);
    const auto widen = [](uint32_t byte) { return static_cast<uint32_t>(static_cast<uint16_t>(static_cast<int8_t>(byte))); };
    out[0] = static_cast<int32_t>(widen(u) | widen(u >> 16) << 16);
    out[rows] = static_cast<int32_t>(widen(u >> 8) | widen(u >> 24) << 16);
  }
};
#endif

// ---- The register tile --------------------------------------------------------------------------------------------------

struct TileArgs {
  const int32_t* a;
  const char* b;
  int64_t steps;
  int64_t step_bytes;  // of the panel
  bool resume;         // sums hold those of earlier blocks
  int32_t* sums;       // [kRows, kPanelRows]
  const char* prefetch;
  int64_t prefetch_lines;  // per strip
};

template <int kRows, int kVectors>
void Tile(const TileArgs& t) {
  I32 sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[i][v] = t.resume ? LoadI(t.sums + i * kPanelRows + v * kLanes) : SetI(0);
  }
  const int32_t* a = t.a;
  const char* b = t.b;
  const char* prefetch = t.prefetch;
  const int64_t step_bytes = t.step_bytes;
  int64_t left = t.steps;
  for (; left >= kStrip; left -= kStrip) {
    for (int64_t line = 0; line < t.prefetch_lines; ++line) Prefetch(prefetch + line * 64);
    prefetch += t.prefetch_lines * 64;
#pragma GCC unroll 4
    for (int i = 0; i < kStrip; ++i) {
      Product::Step<kRows, kVectors>(a, b, sum);
      a += kRows * Product::kUnits;
      b += step_bytes;
    }
  }
  for (; left > 0; --left) {
    Product::Step<kRows, kVectors>(a, b, sum);
    a += kRows * Product::kUnits;
    b += step_bytes;
  }
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) StoreI(t.sums + i * kPanelRows + v * kLanes, sum[i][v]);
  }
}

constexpr int kUnitVectors = static_cast<int>(kPanelStep) / kLanes;
constexpr int kWidths = static_cast<int>(kPanelRows / kPanelStep);

// How many units of kPanelStep outputs a tile of `rows` rows keeps in registers: its sums may take three quarters of them.
constexpr int UnitsInRegisters(int rows) {
  int units = kWidths;
  while (units > 1 && rows * units * kUnitVectors > kRegisters * 3 / 4) units /= 2;
  return units;
}

using TileFunction = void (*)(const TileArgs&);

template <int kRows>
struct TileRow {
  template <int kUnits>
  static constexpr TileFunction Get() {
    if constexpr (kUnits <= UnitsInRegisters(kRows)) {
      return Tile<kRows, kUnits * kUnitVectors>;
    } else {
      return nullptr;
    }
  }
  static constexpr TileFunction kFunctions[kWidths] = {Get<1>(), Get<2>(), Get<3>(), Get<4>()};
};

TileFunction FindTile(int64_t rows, int64_t units) {
  static constexpr const TileFunction* kRowsTable[kTileRows] = {TileRow<1>::kFunctions, TileRow<2>::kFunctions,
                                                                TileRow<3>::kFunctions, TileRow<4>::kFunctions,
                                                                TileRow<5>::kFunctions, TileRow<6>::kFunctions};
  return kRowsTable[rows - 1][units - 1];
}

// ---- Epilogue -------------------------------------------------------------------------------------------------------------

// The rounded sums of kLanes outputs from 32-bit integers, the bias of x taken off.
struct ShallowSums {
  const int32_t* sums;  // [rows, kPanelRows]
  F32 Get(const WeightView& w, int64_t i, int64_t col, int64_t j) const {
    I32 sum = LoadI(sums + i * kPanelRows + j);
    static_assert(Product::kBias == 0 || Product::kBias == 128, "a shift by 7");
    if (Product::kBias != 0) sum = SubI(sum, ShiftLeft<7>(LoadI(w.sums + col + j)));
    return ToFloat(sum);
  }
};

// The same from 64-bit integers.
struct DeepSums {
  const int64_t* sums;  // [rows, kPanelRows]
  F32 Get(const WeightView& w, int64_t i, int64_t col, int64_t j) const {
    alignas(64) float rounded[kLanes];
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const int64_t bias = static_cast<int64_t>(Product::kBias) * w.sums[col + j + lane];
      rounded[lane] = static_cast<float>(sums[i * kPanelRows + j + lane] - bias);
    }
    return Load(rounded);
  }
};

// Rows row … row + rows - 1, outputs col … col + width - 1 (those past n are padding). x_scale: of these rows.
template <class Sums>
void Finish(const LinearArgs& args, int64_t row, int64_t rows, int64_t col, int64_t width, const float* x_scale, const Sums& sums) {
  const WeightView& w = args.weight;
  const int64_t n = w.rows - col < width ? w.rows - col : width;
  for (int64_t i = 0; i < rows; ++i) {
    float* y = args.y + (row + i) * args.y_stride + col;
    const float* residual = args.residual == nullptr ? nullptr : args.residual + (row + i) * args.residual_stride + col;
    const F32 scale = Set(x_scale[i]);
    for (int64_t j = 0; j < n; j += kLanes) {
      const int64_t lanes = n - j < kLanes ? n - j : kLanes;
      F32 value = Mul(sums.Get(w, i, col, j), Mul(scale, Load(w.scales + col + j)));
      if (args.bias != nullptr) value = Add(value, LoadN(args.bias + col + j, lanes));
      if (args.activation != LANES_ACTIVATION_NONE) value = Activate(args.activation, value);
      if (residual != nullptr) value = Add(LoadN(residual + j, lanes), value);
      if (lanes == kLanes) {
        Store(y + j, value);
      } else {
        StoreN(y + j, value, lanes);
      }
    }
  }
}

// ---- The rows of a pass, cut into tiles of nearly equal height --------------------------------------------------------------

struct Tiling {
  int64_t rows, tiles;
  int64_t Begin(int64_t tile) const { return rows * tile / tiles; }
};

// 8 units of a row of k bytes, from `unit` on; what lies behind its end is 0.
inline Octet LoadUnits(const int8_t* q, int64_t k, int64_t unit) {
  const int64_t begin = unit * kStepDepth, left = k - begin;
  if (left >= kOctet * kStepDepth) return LoadOctet(reinterpret_cast<const float*>(q + begin));
  alignas(32) float units[kOctet] = {};
  if (left > 0) memcpy(units, q + begin, static_cast<size_t>(left));
  return LoadOctet(units);
}

// Units [begin, begin + count) of `rows` rows of k bytes, to a[unit][row].
void PackTile(const int8_t* const* q, int64_t rows, int64_t k, int64_t begin, int64_t count, int32_t* a) {
  static_assert(kTileRows <= kOctet, "a tile's rows are transposed at once");
  for (int64_t done = 0; done < count; done += kOctet) {
    Octet units[kOctet];
    for (int64_t i = 0; i < kOctet; ++i) units[i] = LoadUnits(q[i < rows ? i : 0], k, begin + done);
    Transpose(units);
    for (int64_t u = 0; u < kOctet && done + u < count; ++u) {
      alignas(32) float lane[kOctet];
      StoreOctet(lane, units[u]);
      int32_t* out = a + (done + u) * rows * Product::kUnits;
      for (int64_t i = 0; i < rows; ++i) Product::PackUnit(__builtin_bit_cast(int32_t, lane[i]), out + i, rows);
    }
  }
}

class Pass {
 public:
  Pass(OpContext& context, const LinearArgs& args, int64_t row, int64_t rows)
      : context_(context), args_(args), row_(row), tiling_{rows, (rows + kTileRows - 1) / kTileRows},
        steps_((args.weight.cols + kStepDepth - 1) / kStepDepth), deep_(steps_ > kSafeSteps) {
    // A lone tile that keeps the panel's whole width in registers reads it once, so there is nothing to keep in a cache.
    const bool streams = tiling_.tiles == 1 && UnitsInRegisters(static_cast<int>(rows)) == kWidths;
    block_steps_ = streams ? kSafeSteps : tiling_.tiles <= kFewTiles ? kSmallBlockSteps : kBlockSteps;
    if (block_steps_ > steps_) block_steps_ = steps_;
  }

  void Run() {
    const int64_t panels = PanelCount(args_.weight), workers = Workers(context_);
    // Tasks enough for all workers, but no smaller than makes reading a block worth it.
    int64_t groups = (tiling_.rows + kGroupRows - 1) / kGroupRows;
    while (panels * groups < 4 * workers && tiling_.tiles / (groups + 1) >= 12) ++groups;
    const int64_t group_rows = (tiling_.tiles / groups + 1) * kTileRows;
    // Sums of a tile that one block completes are used at once.
    const int64_t kept_rows = steps_ > block_steps_ ? group_rows : kTileRows;
    sums_per_worker_ = kept_rows * kPanelRows;
    Allocate(workers);

    // Waking threads costs some microseconds: what takes less is done here.
    const int64_t pack_grain = tiling_.rows * steps_ < (1 << 13) ? tiling_.tiles : 1;
    ParallelFor(context_, tiling_.tiles, pack_grain, [&](int64_t begin, int64_t end, int worker) {
      for (int64_t tile = begin; tile < end; ++tile) Pack(tile, worker);
    });
    const int64_t work = tiling_.tiles * panels * (steps_ + 32);
    const int64_t grain = work < 4096 ? panels * groups : 1;
    ParallelFor(context_, panels * groups, grain, [&](int64_t begin, int64_t end, int worker) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t group = task % groups;
        Task(task / groups, tiling_.tiles * group / groups, tiling_.tiles * (group + 1) / groups, worker);
      }
    });
  }

 private:
  void Allocate(int64_t workers) {
    const auto whole = [](int64_t bytes) { return (bytes + 63) / 64 * 64; };
    const int64_t a_bytes = whole(tiling_.rows * steps_ * Product::kUnits * 4);
    const int64_t scale_bytes = whole(tiling_.rows * 4);
    const int64_t sum_bytes = workers * sums_per_worker_ * 4;
    const int64_t deep_bytes = deep_ ? workers * sums_per_worker_ * 8 : 0;
    row_bytes_ = args_.xq == nullptr ? whole(args_.weight.cols) : 0;
    const int64_t rows_bytes = workers * kTileRows * row_bytes_;
    char* memory = static_cast<char*>(Scratch(context_, a_bytes + scale_bytes + sum_bytes + deep_bytes + rows_bytes));
    a_ = reinterpret_cast<int32_t*>(memory);
    x_scale_ = reinterpret_cast<float*>(memory + a_bytes);
    sums_ = reinterpret_cast<int32_t*>(memory + a_bytes + scale_bytes);
    deep_sums_ = reinterpret_cast<int64_t*>(memory + a_bytes + scale_bytes + sum_bytes);
    quantized_ = reinterpret_cast<int8_t*>(memory + a_bytes + scale_bytes + sum_bytes + deep_bytes);
  }

  void Pack(int64_t tile, int worker) {
    const int64_t first = tiling_.Begin(tile), rows = tiling_.Begin(tile + 1) - first, k = args_.weight.cols;
    const int8_t* q[kTileRows];
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t row = row_ + first + i;
      if (args_.xq != nullptr) {
        q[i] = args_.xq + row * args_.xq_stride;
        x_scale_[first + i] = args_.x_scale[row];
      } else {
        int8_t* buffer = quantized_ + (worker * kTileRows + i) * row_bytes_;
        x_scale_[first + i] = QuantizeRow(QuantizationOfActivations(args_.input_scale), args_.x + row * args_.x_stride, k, buffer);
        q[i] = buffer;
      }
    }
    for (int64_t step = 0; step < steps_; step += block_steps_) {
      PackTile(q, rows, k, step, BlockSteps(step), TileData(step, first));
    }
  }

  void Task(int64_t panel, int64_t tile_begin, int64_t tile_end, int worker) {
    const WeightView& w = args_.weight;
    const int64_t width = PanelWidth(w, panel), col = panel * kPanelRows;
    const char* weights = w.data + PanelOffset(w, panel);
    const int64_t tiles = tile_end - tile_begin;
    for (int64_t step = 0; step < steps_; step += block_steps_) {
      const bool last = step + block_steps_ >= steps_;
      for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
        const int64_t first = tiling_.Begin(tile), rows = tiling_.Begin(tile + 1) - first;
        const int64_t kept = steps_ > block_steps_ ? (first - tiling_.Begin(tile_begin)) * kPanelRows : 0;
        int32_t* const sums = sums_ + worker * sums_per_worker_ + kept;
        TileArgs t;
        t.a = TileData(step, first);
        t.b = weights + step * width * kStepDepth;
        t.steps = BlockSteps(step);
        t.step_bytes = width * kStepDepth;
        t.resume = step > 0 && !deep_;
        t.sums = sums;
        SetPrefetch(&t, tile - tile_begin, tiles);
        RunTiles(t, rows, width / kPanelStep);
        if (deep_) {
          int64_t* const deep = deep_sums_ + worker * sums_per_worker_ + kept;
          for (int64_t i = 0; i < rows * kPanelRows; ++i) deep[i] = (step > 0 ? deep[i] : 0) + sums[i];
          if (last) Finish(args_, row_ + first, rows, col, width, x_scale_ + first, DeepSums{deep});
        } else if (last) {
          Finish(args_, row_ + first, rows, col, width, x_scale_ + first, ShallowSums{sums});
        }
      }
    }
  }

  // The panel's width in as many tiles as the registers ask for.
  static void RunTiles(TileArgs t, int64_t rows, int64_t units) {
    const int64_t most = UnitsInRegisters(static_cast<int>(rows));
    for (int64_t unit = 0; unit < units; unit += most) {
      const int64_t count = units - unit < most ? units - unit : most;
      FindTile(rows, count)(t);
      t.b += count * kPanelStep * kStepDepth;
      t.sums += count * kPanelStep;
      t.prefetch_lines = 0;
    }
  }

  int64_t BlockSteps(int64_t step) const { return steps_ - step < block_steps_ ? steps_ - step : block_steps_; }

  // Packed rows: block after block, and in a block tile after tile, so that a task reads on where it stopped.
  int32_t* TileData(int64_t step, int64_t first_row) const {
    return a_ + (step * tiling_.rows + first_row * BlockSteps(step)) * Product::kUnits;
  }

  // One tile: the block itself, some way ahead. Several: each fetches its part of the next block.
  static void SetPrefetch(TileArgs* t, int64_t tile, int64_t tiles) {
    const int64_t strip_lines = kStrip * t->step_bytes / 64;
    if (tiles == 1) {
      t->prefetch = t->b + kStreamAhead;
      t->prefetch_lines = strip_lines;
    } else {
      const int64_t parts = tiles < strip_lines ? tiles : strip_lines;
      t->prefetch_lines = tile < parts ? (strip_lines + parts - 1) / parts : 0;
      t->prefetch = t->b + t->steps * t->step_bytes + tile * t->prefetch_lines * (t->steps / kStrip) * 64;
    }
  }

  OpContext& context_;
  const LinearArgs& args_;
  const int64_t row_;
  const Tiling tiling_;
  const int64_t steps_;
  const bool deep_;  // one block's sums fit 32 bits, all blocks' may not
  int64_t block_steps_;
  int64_t sums_per_worker_;
  int64_t row_bytes_;
  int32_t* a_;
  float* x_scale_;       // [rows]
  int32_t* sums_;        // [workers, sums_per_worker_]
  int64_t* deep_sums_;   // likewise
  int8_t* quantized_;    // [workers, kTileRows, row_bytes_]
};

}  // namespace

void LinearS8Run(OpContext& context, const LinearArgs& args);
void LinearS8Run(OpContext& context, const LinearArgs& args) {
  for (int64_t row = 0; row < args.m; row += kPassRows) {
    const int64_t rows = args.m - row < kPassRows ? args.m - row : kPassRows;
    Pass(context, args, row, rows).Run();
  }
}

}  // namespace LANES_ISA
}  // namespace lanes
