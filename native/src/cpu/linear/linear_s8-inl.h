// y = residual + activation(x * weight^T + bias) with int8 rows and an s8 weight. Include after the SIMD layer, its math and
// quantization.
//
// The way of linear-inl.h: rows are copied line by line into tiles, and quantized on the way where they are floats; a task takes
// one panel and a group of tiles, block by block of k. A step is four k, which a 32-bit unit of a row holds.
//
// Sums are integers, so their order is free and nothing is rounded before the epilogue. 32 bits hold every sum over
// kSafeSteps; deeper weights add up their blocks' sums in 64 bits.
//
// What an ISA multiplies with is one step of the two below: DotS8, or DotS16 on halves that were widened before.
#include "core/parallel.h"
#include "cpu/linear/output-inl.h"
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
// Steps whose units of one row lie together in packed rows.
constexpr int64_t kLineSteps = 16;
// A panel's block: stays in the second-level cache while the tiles pass.
constexpr int64_t kBlockSteps = 512;
// The same for few tiles, where reading the panel takes longer than multiplying: in small bites the two go side by side.
constexpr int64_t kFewTiles = 4, kSmallBlockSteps = 64;
// Rows whose sums one task parks at most, and tiles that share a block at least.
constexpr int64_t kGroupRows = 510, kGroupTiles = 10;
// Rows packed at a time, at most; each pass reads all weights.
constexpr int64_t kPassRows = 2040;
// Steps between two rounds of prefetches.
constexpr int64_t kPrefetchSteps = 4;

// ---- How one step multiplies ----------------------------------------------------------------------------------------------
//
// kSteps: how many are taken at once; `b` is the first one's part of the panel, `next` the second's. Arrange: from rows of sums to what
// Step adds to, and back.
// kLineUnits: 32-bit units of a row's line. Those of row i for a step are at a[i * kLineUnits].
// kBias: what is added to each element of x; it comes off again in the epilogue, with the sums of the weight's rows.

#if LANES_HAS_S8_MATRIX
// Two steps at a time, two rows by two outputs in a vector. Of a pair of rows sum[i] holds the first, sum[i + 1] the last two of
// four outputs; an odd row takes dot products.
struct Product {
  static constexpr int64_t kLineUnits = kLineSteps;
  static constexpr int32_t kBias = 0;
  static constexpr int kSteps = 2;
  template <int kRows, int kVectors>
  LANES_INLINE void Step(const int32_t* a, const char* b, const char* next, I32 (&sum)[kRows][kVectors]) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      const I32 w = LoadI(reinterpret_cast<const int32_t*>(b) + v * kLanes);
      const I32 w_next = LoadI(reinterpret_cast<const int32_t*>(next) + v * kLanes);
      I32 low, high;
      PairOutputs(w, w_next, &low, &high);
      for (int i = 0; i + 1 < kRows; i += 2) {
        const I32 rows = LoadRowPair(a + i * kLineUnits, a + (i + 1) * kLineUnits);
        sum[i][v] = MatrixS8(rows, low, sum[i][v]);
        sum[i + 1][v] = MatrixS8(rows, high, sum[i + 1][v]);
      }
      if constexpr (kRows % 2 != 0) {
        const int32_t* x = a + (kRows - 1) * kLineUnits;
        sum[kRows - 1][v] = DotS8(SetI(x[1]), w_next, DotS8(SetI(x[0]), w, sum[kRows - 1][v]));
      }
    }
  }
  template <int kRows, int kVectors>
  LANES_INLINE void Arrange(I32 (&sum)[kRows][kVectors]) {
    for (int i = 0; i + 1 < kRows; i += 2) {
      for (int v = 0; v < kVectors; ++v) SwapBlocksAndRows(&sum[i][v], &sum[i + 1][v]);
    }
  }
  LANES_INLINE void PackLine(const int8_t* bytes, int32_t* line) { memcpy(line, bytes, kLineSteps * kStepDepth); }
};
#elif LANES_HAS_S8_DOT
struct Product {
  static constexpr int64_t kLineUnits = kLineSteps;
  static constexpr int32_t kBias = LANES_S8_DOT_BIAS;
  static constexpr int kSteps = 1;
  template <int kRows, int kVectors>
  LANES_INLINE void Step(const int32_t* a, const char* b, const char*, I32 (&sum)[kRows][kVectors]) {
    I32 w[kVectors];
    for (int v = 0; v < kVectors; ++v) w[v] = LoadI(reinterpret_cast<const int32_t*>(b) + v * kLanes);
    for (int i = 0; i < kRows; ++i) {
      const I32 x = SetI(a[i * kLineUnits]);
      for (int v = 0; v < kVectors; ++v) sum[i][v] = DotS8(x, w[v], sum[i][v]);
    }
  }
  template <int kRows, int kVectors>
  LANES_INLINE void Arrange(I32 (&)[kRows][kVectors]) {}
  // `bytes`: kLineSteps * kStepDepth of a row. The bias of 128 turns their sign bits.
  LANES_INLINE void PackLine(const int8_t* bytes, int32_t* line) {
    const I32 bias = SetI(static_cast<int32_t>(kBias * 0x01010101u));
    for (int64_t u = 0; u < kLineSteps; u += kLanes) StoreI(line + u, XorI(LoadI(reinterpret_cast<const int32_t*>(bytes) + u), bias));
  }
};
#else
// Pairs of 16 bits. Bytes times bytes in pairs, which would be half the work, saturate.
struct Product {
  static constexpr int64_t kLineUnits = 2 * kLineSteps;
  static constexpr int32_t kBias = 0;
  static constexpr int kSteps = 1;
  template <int kRows, int kVectors>
  LANES_INLINE void Step(const int32_t* a, const char* b, const char*, I32 (&sum)[kRows][kVectors]) {
    I32 w[kVectors];
    for (int v = 0; v < kVectors; ++v) w[v] = EvenS8(LoadI(reinterpret_cast<const int32_t*>(b) + v * kLanes));
    for (int i = 0; i < kRows; ++i) {
      const I32 x = SetI(a[i * kLineUnits]);
      for (int v = 0; v < kVectors; ++v) sum[i][v] = DotS16(x, w[v], sum[i][v]);
    }
    for (int v = 0; v < kVectors; ++v) w[v] = OddS8(LoadI(reinterpret_cast<const int32_t*>(b) + v * kLanes));
    for (int i = 0; i < kRows; ++i) {
      const I32 x = SetI(a[i * kLineUnits + kLineSteps]);
      for (int v = 0; v < kVectors; ++v) sum[i][v] = DotS16(x, w[v], sum[i][v]);
    }
  }
  template <int kRows, int kVectors>
  LANES_INLINE void Arrange(I32 (&)[kRows][kVectors]) {}
  // Even bytes, then odd ones, as pairs of 16 bits.
  LANES_INLINE void PackLine(const int8_t* bytes, int32_t* line) {
    for (int64_t u = 0; u < kLineSteps; u += kLanes) {
      const I32 units = LoadI(reinterpret_cast<const int32_t*>(bytes) + u);
      StoreI(line + u, EvenS8(units));
      StoreI(line + kLineSteps + u, OddS8(units));
    }
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
  int64_t prefetch_lines;  // every kPrefetchSteps
};

// What follows the last step where steps come in pairs.
alignas(64) constexpr char kZeros[kPanelRows * kStepDepth] = {};

template <int kRows, int kVectors>
void Tile(const TileArgs& t) {
  I32 sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[i][v] = t.resume ? LoadI(t.sums + i * kPanelRows + v * kLanes) : SetI(0);
  }
  Product::Arrange(sum);
  const int32_t* a = t.a;
  const char* b = t.b;
  const char* prefetch = t.prefetch;
  const int64_t step_bytes = t.step_bytes;
  int64_t left = t.steps;
  for (; left >= kLineSteps; left -= kLineSteps) {
    for (int part = 0; part < kLineSteps; part += kPrefetchSteps) {
      for (int64_t line = 0; line < t.prefetch_lines; ++line) PrefetchL2(prefetch + line * 64);
      prefetch += t.prefetch_lines * 64;
#pragma GCC unroll 4
      for (int i = 0; i < kPrefetchSteps; i += Product::kSteps) {
        Product::Step<kRows, kVectors>(a + part + i, b, b + step_bytes, sum);
        b += Product::kSteps * step_bytes;
      }
    }
    a += kRows * Product::kLineUnits;
  }
  for (; left > 0; left -= Product::kSteps) {
    Product::Step<kRows, kVectors>(a, b, left > 1 ? b + step_bytes : kZeros, sum);
    a += Product::kSteps;
    b += Product::kSteps * step_bytes;
  }
  Product::Arrange(sum);
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
    const OutputRow y(args, row + i, col);
    const float* residual = args.residual == nullptr ? nullptr : args.residual + (row + i) * args.residual_stride + col;
    const F32 scale = Set(x_scale[i]);
    for (int64_t j = 0; j < n; j += kLanes) {
      const int64_t lanes = n - j < kLanes ? n - j : kLanes;
      F32 value = Mul(sums.Get(w, i, col, j), Mul(scale, Load(w.scales + col + j)));
      if (args.bias != nullptr) value = Add(value, LoadN(args.bias + col + j, lanes));
      if (args.activation != LANES_ACTIVATION_NONE) value = Activate(args.activation, value);
      if (residual != nullptr) value = Add(LoadN(residual + j, lanes), value);
      y.Put(j, value, lanes);
    }
  }
}

// ---- The rows of a pass, cut into tiles of nearly equal height --------------------------------------------------------------

struct Tiling {
  int64_t rows, tiles;
  int64_t Begin(int64_t tile) const { return rows * tile / tiles; }
};

// A row on its way into lines: int8 as it is, or floats that become int8.
class RowSource {
 public:
  RowSource(const LinearArgs& args, int64_t row) : k_(args.weight.cols) {
    if (args.xq != nullptr) {
      q_ = args.xq + row * args.xq_stride;
      scale_ = args.x_scale[row];
    } else {
      x_ = args.x + row * args.x_stride;
      quantizer_ = RowQuantizer(QuantizationOfActivations(args.input_scale), LargestOf(x_, k_));
      scale_ = quantizer_.scale();
    }
  }

  float scale() const { return scale_; }

  // `wanted` elements from `begin` on, with 0 behind the row's end; `buffer` takes them where they are not int8 already.
  const int8_t* Get(int64_t begin, int64_t wanted, int8_t* buffer) const {
    const int64_t count = k_ - begin < wanted ? k_ - begin : wanted;
    if (q_ != nullptr && count == wanted) return q_ + begin;
    if (count < wanted) memset(buffer + count, 0, static_cast<size_t>(wanted - count));
    if (q_ != nullptr) {
      memcpy(buffer, q_ + begin, static_cast<size_t>(count));
    } else {
      quantizer_.ConvertRow(x_ + begin, count, buffer);
    }
    return buffer;
  }

 private:
  int64_t k_;
  const int8_t* q_ = nullptr;
  const float* x_ = nullptr;
  RowQuantizer quantizer_;
  float scale_;
};

class Pass {
 public:
  Pass(OpContext& context, const LinearArgs& args, int64_t row, int64_t rows)
      : context_(context), args_(args), row_(row), tiling_{rows, (rows + kTileRows - 1) / kTileRows},
        steps_((args.weight.cols + kStepDepth - 1) / kStepDepth), deep_(steps_ > kSafeSteps) {
    // A lone tile that keeps the panel's whole width in registers reads it once, so there is nothing to keep in a cache.
    streams_ = tiling_.tiles == 1 && UnitsInRegisters(static_cast<int>(rows)) == kWidths;
    block_steps_ = streams_ ? kSafeSteps : tiling_.tiles <= kFewTiles ? kSmallBlockSteps : kBlockSteps;
    if (block_steps_ > steps_) block_steps_ = steps_;
  }

  void Run() {
    const int64_t panels = PanelCount(args_.weight), workers = Workers(context_);
    // A group of tiles for each worker, who has packed its rows and has them in its caches; no smaller than makes reading a block
    // worth it, nor larger than its sums may be.
    const bool parks = steps_ > block_steps_;
    int64_t groups = tiling_.tiles / kGroupTiles < workers ? tiling_.tiles / kGroupTiles : workers;
    if (groups == 0) groups = 1;
    if (parks && tiling_.rows > groups * kGroupRows) groups = (tiling_.rows + kGroupRows - 1) / kGroupRows;
    const int64_t group_rows = (tiling_.tiles / groups + 1) * kTileRows;
    // Sums of a tile that one block completes are used at once.
    const int64_t kept_rows = parks ? group_rows : kTileRows;
    sums_per_worker_ = kept_rows * kPanelRows;
    Allocate(workers);

    // Waking threads costs some microseconds: what takes less is done here.
    const int64_t pack_grain = tiling_.rows * steps_ < (1 << 13) ? tiling_.tiles : 1;
    ParallelFor(context_, tiling_.tiles, pack_grain, [&](int64_t begin, int64_t end, int) {
      for (int64_t tile = begin; tile < end; ++tile) Pack(tile);
    });
    const int64_t work = tiling_.tiles * panels * (steps_ + 32);
    const int64_t grain = work < 4096 ? panels * groups : 1;
    ParallelFor(context_, panels * groups, grain, [&](int64_t begin, int64_t end, int worker) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t group = task / panels;
        Task(task % panels, tiling_.tiles * group / groups, tiling_.tiles * (group + 1) / groups, worker);
      }
    });
  }

 private:
  void Allocate(int64_t workers) {
    const auto whole = [](int64_t bytes) { return (bytes + 63) / 64 * 64; };
    int64_t lines = 0;
    for (int64_t step = 0; step < steps_; step += block_steps_) lines += BlockLines(step);
    const int64_t a_bytes = tiling_.rows * lines * Product::kLineUnits * 4;
    const int64_t scale_bytes = whole(tiling_.rows * 4);
    const int64_t sum_bytes = workers * sums_per_worker_ * 4;
    const int64_t deep_bytes = deep_ ? workers * sums_per_worker_ * 8 : 0;
    char* memory = static_cast<char*>(Scratch(context_, a_bytes + scale_bytes + sum_bytes + deep_bytes));
    a_ = reinterpret_cast<int32_t*>(memory);
    x_scale_ = reinterpret_cast<float*>(memory + a_bytes);
    sums_ = reinterpret_cast<int32_t*>(memory + a_bytes + scale_bytes);
    deep_sums_ = reinterpret_cast<int64_t*>(memory + a_bytes + scale_bytes + sum_bytes);
  }

  void Pack(int64_t tile) {
    const int64_t first = tiling_.Begin(tile), rows = tiling_.Begin(tile + 1) - first;
    constexpr int64_t kLineBytes = kLineSteps * kStepDepth, kChunkLines = 16;
    alignas(64) int8_t buffer[kChunkLines * kLineBytes];
    for (int64_t i = 0; i < rows; ++i) {
      const RowSource source(args_, row_ + first + i);
      x_scale_[first + i] = source.scale();
      for (int64_t step = 0; step < steps_; step += block_steps_) {
        int32_t* line = TileData(step, first) + i * Product::kLineUnits;
        const int64_t lines = BlockLines(step);
        for (int64_t done = 0; done < lines; done += kChunkLines) {
          const int64_t count = lines - done < kChunkLines ? lines - done : kChunkLines;
          const int8_t* q = source.Get(step * kStepDepth + done * kLineBytes, count * kLineBytes, buffer);
          for (int64_t l = 0; l < count; ++l, line += rows * Product::kLineUnits) Product::PackLine(q + l * kLineBytes, line);
        }
      }
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

  // The last line of a block may hold fewer steps; its rest is not multiplied.
  int64_t BlockLines(int64_t step) const { return (BlockSteps(step) + kLineSteps - 1) / kLineSteps; }

  // Packed rows: block after block, and in a block tile after tile, so that a task reads on where it stopped.
  int32_t* TileData(int64_t step, int64_t first_row) const {
    return a_ + (step / kLineSteps * tiling_.rows + first_row * BlockLines(step)) * Product::kLineUnits;
  }

  // Each tile fetches its part of the next block. One that streams fetches nothing: the processor sees what comes.
  void SetPrefetch(TileArgs* t, int64_t tile, int64_t tiles) const {
    const int64_t lines = kPrefetchSteps * t->step_bytes / 64, parts = tiles < lines ? tiles : lines;
    t->prefetch_lines = streams_ || tile >= parts ? 0 : (lines + parts - 1) / parts;
    t->prefetch = t->b + t->steps * t->step_bytes + tile * t->prefetch_lines * (t->steps / kPrefetchSteps) * 64;
  }

  OpContext& context_;
  const LinearArgs& args_;
  const int64_t row_;
  const Tiling tiling_;
  const int64_t steps_;
  const bool deep_;  // one block's sums fit 32 bits, all blocks' may not
  int64_t block_steps_;
  bool streams_;  // one tile holds all rows and the whole width of a panel
  int64_t sums_per_worker_;
  int32_t* a_;
  float* x_scale_;      // [rows]
  int32_t* sums_;       // [workers, sums_per_worker_]
  int64_t* deep_sums_;  // likewise
};

}  // namespace

void LinearS8Run(OpContext& context, const LinearArgs& args);
void LinearS8Run(OpContext& context, const LinearArgs& args) {
  const int64_t passes = (args.m + kPassRows - 1) / kPassRows;
  int64_t row = 0;
  for (int64_t pass = 1; pass <= passes; ++pass) {
    const int64_t end = args.m * pass / passes;
    Pass(context, args, row, end - row).Run();
    row = end;
  }
}

}  // namespace LANES_ISA
}  // namespace lanes
