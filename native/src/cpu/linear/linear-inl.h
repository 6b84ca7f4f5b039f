// y = residual + activation(x * weight^T + bias) from panels of kPanelRows outputs.
//
// The rows of x are cut into tiles. A tile's rows are copied line by line, kLineUnits of its first row, of its second, …, then
// the next of each: a tile's steps then read neighbouring lines, each at a fixed distance from the first, and the copy
// transposes nothing.
//
// A task is one panel and a group of tiles. It walks the panel in blocks of k that stay in the second-level cache while the
// tiles pass, each as wide as its sums find registers, and parks the sums in its worker's buffer between blocks; meanwhile the
// next block is prefetched into that cache. A single tile as wide as a panel takes one block: the panel streams past once.
//
// Each output is summed in runs of kRunDepth inputs, counted from the first; the runs' sums are then added in order. That
// halves the rounding error of long sums. Blocks are whole runs, so no bit depends on blocks, tiles or the number of rows.
#include "core/parallel.h"
#include "cpu/linear/output-inl.h"
#include "lanes/lanes.h"
#include "ops/linear.h"

namespace lanes {
namespace LANES_ISA {
namespace {

#define LANES_INLINE static inline __attribute__((always_inline))

// Rows of a tile at most. 6 by 64 outputs are 24 AVX-512 registers of sums, and so are 12 by 32: these convert a weight for fewer
// sums, but need not pass a panel twice for 12 rows. AVX2 sums 6 by 16, in 12 registers, NEON the same in 24.
constexpr int kTileRows = 6, kHighTileRows = kLanes == 16 ? 12 : kTileRows;
// 32-bit units of one row that lie together in packed rows.
constexpr int64_t kLineUnits = 16;
// Inputs that are summed before their sum joins the others.
constexpr int64_t kRunDepth = 256;
// Units of a tile's rows in a block: 12 KiB, which stay in the first-level cache beside the panel's lines.
constexpr int64_t kTileUnits = 3072;
// Rows that one task sums at most; its parked sums take 64 floats for each.
constexpr int64_t kGroupRows = 512;
// Rows packed at a time; each pass reads all weights.
constexpr int64_t kPassRows = 1024;
// Steps between two rounds of prefetches.
constexpr int64_t kPrefetchSteps = 4;

// ---- Types of weights: how one step multiplies ------------------------------------------------------------------------
//
// kDepth: k per step. kLaneBytes: bytes of one output in one step. kUnits: 32-bit units of a row in one step; row i's are at
// a[i * kLineUnits]. kCopiesRows: whether packed rows are what x is. kMostRows: of a tile.

struct F32Weights {
  static constexpr int kDepth = 1, kLaneBytes = 4, kUnits = 1;
  static constexpr int kMostRows = kHighTileRows;
  static constexpr bool kOddTail = false, kCopiesRows = true;
  template <int kRows, int kVectors>
  LANES_INLINE void Step(const float* a, const char* b, F32 (&sum)[kRows][kVectors]) {
    F32 w[kVectors];
    for (int v = 0; v < kVectors; ++v) w[v] = Load(reinterpret_cast<const float*>(b) + v * kLanes);
#pragma GCC unroll 24
    for (int i = 0; i < kRows; ++i) {
      const F32 x = Set(a[i * kLineUnits]);
      for (int v = 0; v < kVectors; ++v) sum[i][v] = Fma(x, w[v], sum[i][v]);
    }
  }
};

struct F16Weights {
  static constexpr int kDepth = 1, kLaneBytes = 2, kUnits = 1;
  static constexpr int kMostRows = kTileRows;
  static constexpr bool kOddTail = false, kCopiesRows = true;
  template <int kRows, int kVectors>
  LANES_INLINE void Step(const float* a, const char* b, F32 (&sum)[kRows][kVectors]) {
    F32 w[kVectors];
    for (int v = 0; v < kVectors; ++v) w[v] = LoadF16(reinterpret_cast<const uint16_t*>(b) + v * kLanes);
#pragma GCC unroll 24
    for (int i = 0; i < kRows; ++i) {
      const F32 x = Set(a[i * kLineUnits]);
      for (int v = 0; v < kVectors; ++v) sum[i][v] = Fma(x, w[v], sum[i][v]);
    }
  }
};

// Pairs of k. Where k is odd the last step multiplies its first half only: adding 0 * 0 could turn a sum of -0 into 0.
struct Bf16Weights {
  static constexpr int kDepth = 2, kLaneBytes = 4, kUnits = 2;
  static constexpr int kMostRows = kTileRows;
  static constexpr bool kOddTail = true, kCopiesRows = true;
  template <int kRows, int kVectors>
  LANES_INLINE void Step(const float* a, const char* b, F32 (&sum)[kRows][kVectors]) {
    // One half after the other: both at once would not fit the registers.
    F32 w[kVectors];
    for (int v = 0; v < kVectors; ++v) w[v] = LoadBf16Even(reinterpret_cast<const uint16_t*>(b) + v * 2 * kLanes);
#pragma GCC unroll 24
    for (int i = 0; i < kRows; ++i) {
      const F32 x = Set(a[i * kLineUnits]);
      for (int v = 0; v < kVectors; ++v) sum[i][v] = Fma(x, w[v], sum[i][v]);
    }
    for (int v = 0; v < kVectors; ++v) w[v] = LoadBf16Odd(reinterpret_cast<const uint16_t*>(b) + v * 2 * kLanes);
#pragma GCC unroll 24
    for (int i = 0; i < kRows; ++i) {
      const F32 x = Set(a[i * kLineUnits + 1]);
      for (int v = 0; v < kVectors; ++v) sum[i][v] = Fma(x, w[v], sum[i][v]);
    }
  }
  template <int kRows, int kVectors>
  LANES_INLINE void HalfStep(const float* a, const char* b, F32 (&sum)[kRows][kVectors]) {
    for (int v = 0; v < kVectors; ++v) {
      const F32 even = LoadBf16Even(reinterpret_cast<const uint16_t*>(b) + v * 2 * kLanes);
#pragma GCC unroll 24
      for (int i = 0; i < kRows; ++i) sum[i][v] = Fma(Set(a[i * kLineUnits]), even, sum[i][v]);
    }
  }
};

#if LANES_HAS_BF16_DOT
// The processor's own bfloat16 dot product of pairs; x was rounded when it was packed.
struct Bf16DotWeights {
  static constexpr int kDepth = 2, kLaneBytes = 4, kUnits = 1;
  static constexpr int kMostRows = kHighTileRows;
  static constexpr bool kOddTail = false, kCopiesRows = false;
  template <int kRows, int kVectors>
  LANES_INLINE void Step(const float* a, const char* b, F32 (&sum)[kRows][kVectors]) {
    I32 w[kVectors];
    for (int v = 0; v < kVectors; ++v) w[v] = LoadI(reinterpret_cast<const int32_t*>(b) + v * kLanes);
#pragma GCC unroll 24
    for (int i = 0; i < kRows; ++i) {
      const I32 x = AsInt(Set(a[i * kLineUnits]));
      for (int v = 0; v < kVectors; ++v) sum[i][v] = DotBf16(x, w[v], sum[i][v]);
    }
  }
};
#endif

// ---- The register tile --------------------------------------------------------------------------------------------------

struct TileArgs {
  const float* a;
  const char* b;
  int64_t steps;
  bool half_step;      // after them
  int64_t step_bytes;  // of the panel
  bool resume;         // sums hold earlier runs
  float* sums;         // [kRows, kPanelRows] of the runs that are complete
  float* y;            // where the sums go at last, with bias and residual; null: to `sums`
  const float* bias;
  const float* residual;
  int64_t y_stride, residual_stride;
  const char* prefetch;
  int64_t prefetch_lines;  // every kPrefetchSteps
};

template <int kRows, int kVectors>
LANES_INLINE void ClearSums(F32 (&sum)[kRows][kVectors]) {
#pragma GCC unroll 24
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[i][v] = Zero();
  }
}

template <int kRows, int kVectors>
LANES_INLINE void AddRows(const float* rows, int64_t stride, F32 (&sum)[kRows][kVectors]) {
#pragma GCC unroll 24
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[i][v] = Add(Load(rows + i * stride + v * kLanes), sum[i][v]);
  }
}

template <int kRows, int kVectors>
LANES_INLINE void StoreRows(const F32 (&sum)[kRows][kVectors], float* rows, int64_t stride) {
#pragma GCC unroll 24
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) Store(rows + i * stride + v * kLanes, sum[i][v]);
  }
}

template <class Weights, int kRows, int kVectors>
void Tile(const TileArgs& t) {
  constexpr int64_t kRunSteps = kRunDepth / Weights::kDepth, kLineSteps = kLineUnits / Weights::kUnits;
  const float* a = t.a;
  const char* b = t.b;
  const char* prefetch = t.prefetch;
  const int64_t step_bytes = t.step_bytes;
  int64_t left = t.steps;
  bool resume = t.resume;
  F32 sum[kRows][kVectors];
  while (true) {
    ClearSums(sum);
    int64_t steps = left < kRunSteps ? left : kRunSteps;
    left -= steps;
    for (; steps >= kLineSteps; steps -= kLineSteps) {
      for (int part = 0; part < kLineSteps; part += kPrefetchSteps) {
        for (int64_t line = 0; line < t.prefetch_lines; ++line) PrefetchL2(prefetch + line * 64);
        prefetch += t.prefetch_lines * 64;
#pragma GCC unroll 4
        for (int i = 0; i < kPrefetchSteps; ++i) {
          Weights::template Step<kRows, kVectors>(a, b, sum);
          a += Weights::kUnits;
          b += step_bytes;
        }
      }
      a += (kRows - 1) * kLineUnits;
    }
    for (; steps > 0; --steps) {
      Weights::template Step<kRows, kVectors>(a, b, sum);
      a += Weights::kUnits;
      b += step_bytes;
    }
    if constexpr (Weights::kOddTail) {
      if (left == 0 && t.half_step) Weights::template HalfStep<kRows, kVectors>(a, b, sum);
    }
    if (resume) AddRows(t.sums, kPanelRows, sum);
    if (left == 0 && t.y != nullptr) {
      if (t.bias != nullptr) AddRows(t.bias, 0, sum);
      if (t.residual != nullptr) AddRows(t.residual, t.residual_stride, sum);
      StoreRows(sum, t.y, t.y_stride);
      return;
    }
    StoreRows(sum, t.sums, kPanelRows);
    if (left == 0) return;
    resume = true;
  }
}

// Widths of tiles come in units of kPanelStep outputs.
constexpr int kUnitVectors = static_cast<int>(kPanelStep) / kLanes;
constexpr int kWidths = static_cast<int>(kPanelRows / kPanelStep);
// A tile's sums may take three quarters of the registers.
constexpr int kTileVectors = kRegisters * 3 / 4;
// How many units of kPanelStep outputs a tile of `rows` rows keeps in registers.
constexpr int64_t UnitsInRegisters(int64_t rows) {
  int64_t units = kWidths;
  while (units > 1 && rows * units * kUnitVectors > kTileVectors) units /= 2;
  return units;
}

using TileFunction = void (*)(const TileArgs&);

// Tiles of 1 … kMostRows rows and 1 … kWidths units, as far as they fit the registers.
template <class Weights>
struct TileTable {
  TileFunction tiles[Weights::kMostRows][kWidths] = {};
};

template <class Weights, int kRows, int kUnits>
constexpr void AddTiles(TileTable<Weights>* table) {
  if constexpr (kUnits > 1) AddTiles<Weights, kRows, kUnits - 1>(table);
  if constexpr (kUnits == 1 && kRows > 1) AddTiles<Weights, kRows - 1, kWidths>(table);
  if constexpr (kUnits <= UnitsInRegisters(kRows)) table->tiles[kRows - 1][kUnits - 1] = Tile<Weights, kRows, kUnits * kUnitVectors>;
}

template <class Weights>
constexpr TileTable<Weights> MakeTileTable() {
  TileTable<Weights> table;
  AddTiles<Weights, Weights::kMostRows, kWidths>(&table);
  return table;
}

template <class Weights>
TileFunction FindTile(int64_t rows, int64_t units) {
  static constexpr TileTable<Weights> kTable = MakeTileTable<Weights>();
  return kTable.tiles[rows - 1][units - 1];
}

// ---- Epilogue -------------------------------------------------------------------------------------------------------------

// What a tile cannot do as it stores its sums: an activation, a panel whose last outputs are padding, bfloat16 results.
// Rows row … row + rows - 1, outputs col … col + width - 1 (those past n are padding).
void Finish(const LinearArgs& args, int64_t row, int64_t rows, int64_t col, int64_t width, const float* sums) {
  const int64_t n = args.weight.rows - col < width ? args.weight.rows - col : width;
  for (int64_t i = 0; i < rows; ++i) {
    const OutputRow y(args, row + i, col);
    const float* residual = args.residual == nullptr ? nullptr : args.residual + (row + i) * args.residual_stride + col;
    for (int64_t j = 0; j < n; j += kLanes) {
      const int64_t lanes = n - j < kLanes ? n - j : kLanes;
      F32 value = Load(sums + i * kPanelRows + j);
      if (args.bias != nullptr) value = Add(value, LoadN(args.bias + col + j, lanes));
      if (args.activation != LANES_ACTIVATION_NONE) value = Activate(args.activation, value);
      if (residual != nullptr) value = Add(LoadN(residual + j, lanes), value);
      y.Put(j, value, lanes);
    }
  }
}

// ---- Packed rows --------------------------------------------------------------------------------------------------------

// Elements [begin, begin + kLanes) of a row of k elements; what lies behind its end is 0.
LANES_INLINE F32 LoadRow(const float* x, int64_t k, int64_t begin) {
  const int64_t left = k - begin;
  return left >= kLanes ? Load(x + begin) : left > 0 ? LoadN(x + begin, left) : Zero();
}
// Of bfloat16.
LANES_INLINE F32 LoadRow(const uint16_t* x, int64_t k, int64_t begin) {
  const int64_t left = k - begin;
  return left >= kLanes ? LoadBf16(x + begin) : left > 0 ? LoadBf16N(x + begin, left) : Zero();
}

// kLineUnits units of a row, from `unit` on.
template <class Weights, class Element>
LANES_INLINE void PackLine(const Element* x, int64_t k, int64_t unit, float* line) {
  if constexpr (Weights::kCopiesRows) {
    for (int64_t u = 0; u < kLineUnits; u += kLanes) Store(line + u, LoadRow(x, k, unit + u));
  }
#if LANES_HAS_BF16_DOT
  else {
    // A unit is a pair of bfloat16; where k is odd the last pair ends with 0.
    uint16_t* halves = reinterpret_cast<uint16_t*>(line);
    for (int64_t h = 0; h < 2 * kLineUnits; h += kLanes) StoreBf16ForDot(halves + h, LoadRow(x, k, 2 * unit + h));
  }
#endif
}

// Units [begin, begin + count) of `rows` rows from x on, to a tile's lines.
template <class Weights, class Element>
void PackTile(const LinearArgs& args, const Element* x, int64_t rows, int64_t begin, int64_t count, float* a) {
  for (int64_t unit = begin; unit < begin + count; unit += kLineUnits) {
    for (int64_t i = 0; i < rows; ++i, a += kLineUnits) PackLine<Weights>(x + i * args.x_stride, args.weight.cols, unit, a);
  }
}

template <class Weights>
class Pass {
 public:
  Pass(OpContext& context, const LinearArgs& args, int64_t row, int64_t rows)
      : context_(context), args_(args), row_(row), rows_(rows) {
    const int64_t k = args.weight.cols;
    tiles_ = (rows + Weights::kMostRows - 1) / Weights::kMostRows;
    half_step_ = Weights::kOddTail && k % 2 != 0;
    steps_ = half_step_ ? k / 2 : (k + Weights::kDepth - 1) / Weights::kDepth;
    tile_rows_ = rows / tiles_;
    left_over_ = rows % tiles_;
    tile_width_ = UnitsInRegisters((rows + tiles_ - 1) / tiles_);
    streams_ = tiles_ == 1 && tile_width_ == kWidths;
    block_steps_ = streams_ ? steps_ : kBlockSteps;
    if (block_steps_ > steps_ || block_steps_ == 0) block_steps_ = steps_ > 0 ? steps_ : 1;
    row_units_ = 0;
    for (int64_t step = 0; step == 0 || step < steps_; step += block_steps_) row_units_ += BlockUnits(step);
  }

  void Run() {
    const int64_t panels = PanelCount(args_.weight), workers = Workers(context_);
    // A group for every worker, who then reads the rows that it packed itself, and tasks enough for all workers; but no group so
    // small that reading a block is not worth it.
    int64_t groups = (rows_ + kGroupRows - 1) / kGroupRows;
    while (groups < workers && rows_ / (groups + 1) >= 64) ++groups;
    while (panels * groups < 4 * workers && rows_ / (groups + 1) >= 72) ++groups;
    sums_per_worker_ = (tiles_ + groups - 1) / groups * Weights::kMostRows * kPanelRows;
    const bool copies = !(Weights::kCopiesRows && rows_ == 1 && args_.x != nullptr);
    const int64_t a_units = copies ? rows_ * row_units_ : 0;
    sums_ = static_cast<float*>(Scratch(context_, (a_units + workers * sums_per_worker_) * 4));
    // A single row is its own packed form.
    a_ = copies ? sums_ + workers * sums_per_worker_ : args_.x + row_ * args_.x_stride;
    if (copies) Pack(sums_ + workers * sums_per_worker_);
    const int64_t work = tiles_ * panels * (steps_ + 32);
    const int64_t grain = work < 4096 ? panels * groups : 1;
    ParallelFor(context_, panels * groups, grain, [&](int64_t begin, int64_t end, int worker) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t group = task / panels;
        Task(task % panels, tiles_ * group / groups, tiles_ * (group + 1) / groups, worker);
      }
    });
  }

 private:
  static constexpr int64_t kBlockSteps = kTileUnits / Weights::kMostRows / Weights::kUnits;
  static_assert(kBlockSteps * Weights::kDepth % kRunDepth == 0, "blocks are whole runs");

  void Pack(float* a) {
    // Waking threads costs some microseconds: what takes less is done here.
    const int64_t grain = rows_ * row_units_ < (1 << 15) ? tiles_ : 1;
    ParallelFor(context_, tiles_, grain, [&](int64_t begin, int64_t end, int) {
      for (int64_t tile = begin; tile < end; ++tile) {
        for (int64_t step = 0; step == 0 || step < steps_; step += block_steps_) {
          const int64_t row = row_ + Begin(tile), rows = Begin(tile + 1) - Begin(tile), unit = step * Weights::kUnits;
          float* const to = a + TileOffset(step, tile);
          if (args_.x_bf16 != nullptr) {
            PackTile<Weights>(args_, args_.x_bf16 + row * args_.x_stride, rows, unit, BlockUnits(step), to);
          } else {
            PackTile<Weights>(args_, args_.x + row * args_.x_stride, rows, unit, BlockUnits(step), to);
          }
        }
      }
    });
  }

  void Task(int64_t panel, int64_t tile_begin, int64_t tile_end, int worker) {
    const WeightView& w = args_.weight;
    const int64_t width = PanelWidth(w, panel), step_bytes = width * Weights::kLaneBytes;
    const int64_t units = width / kPanelStep;
    const char* weights = w.data + PanelOffset(w, panel);
    const int64_t col = panel * kPanelRows;
    const bool finishes = args_.activation == LANES_ACTIVATION_NONE && col + width <= w.rows && args_.y != nullptr;
    // A tile that streams fetches nothing: the processor sees what comes.
    const int64_t parts = (tile_end - tile_begin) * ((units + tile_width_ - 1) / tile_width_);
    const int64_t prefetch_lines = streams_ ? 0 : (kPrefetchSteps * step_bytes / 64 + parts - 1) / parts;
    for (int64_t step = 0; step == 0 || step < steps_; step += block_steps_) {
      const int64_t steps = steps_ - step < block_steps_ ? steps_ - step : block_steps_;
      const bool last = step + steps >= steps_;
      const char* const next = weights + (step + steps) * step_bytes;
      int64_t part = 0;
      for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
        const int64_t row = Begin(tile), rows = Begin(tile + 1) - row;
        float* const sums = sums_ + worker * sums_per_worker_ + (row - Begin(tile_begin)) * kPanelRows;
        TileArgs t;
        t.a = a_ + TileOffset(step, tile);
        t.b = weights + step * step_bytes;
        t.steps = steps;
        t.half_step = last && half_step_;
        t.step_bytes = step_bytes;
        t.sums = sums;
        t.resume = step > 0;
        for (int64_t unit = 0; unit < units; unit += tile_width_) {
          const int64_t count = units - unit < tile_width_ ? units - unit : tile_width_;
          SetPrefetch(&t, next, part++, prefetch_lines);
          SetOutput(&t, last && finishes, row_ + row, col + unit * kPanelStep);
          FindTile<Weights>(rows, count)(t);
          t.b += count * kPanelStep * Weights::kLaneBytes;
          t.sums += count * kPanelStep;
        }
        if (last && !finishes) Finish(args_, row_ + row, rows, col, width, sums);
      }
    }
  }

  // The first tiles are a row higher than the others where rows are left over.
  int64_t Begin(int64_t tile) const { return tile * tile_rows_ + (tile < left_over_ ? tile : left_over_); }

  // Units of one row in the block that begins with `step`, whole lines. The half step belongs to the last block.
  int64_t BlockUnits(int64_t step) const {
    const int64_t end = step + block_steps_ >= steps_ ? steps_ + half_step_ : step + block_steps_;
    return ((end - step) * Weights::kUnits + kLineUnits - 1) / kLineUnits * kLineUnits;
  }

  // Packed rows: block after block, and in a block tile after tile, so that a task reads on where it stopped.
  int64_t TileOffset(int64_t step, int64_t tile) const {
    return step * Weights::kUnits * rows_ + BlockUnits(step) * Begin(tile);
  }

  void SetOutput(TileArgs* t, bool finishes, int64_t row, int64_t col) const {
    t->y = finishes ? args_.y + row * args_.y_stride + col : nullptr;
    t->y_stride = args_.y_stride;
    t->bias = args_.bias == nullptr ? nullptr : args_.bias + col;
    t->residual = args_.residual == nullptr ? nullptr : args_.residual + row * args_.residual_stride + col;
    t->residual_stride = args_.residual_stride;
  }

  // Each strip of a tile fetches its part of the next block.
  static void SetPrefetch(TileArgs* t, const char* next, int64_t part, int64_t lines_of_part) {
    const int64_t done = part * lines_of_part;
    t->prefetch_lines = done < kPrefetchSteps * t->step_bytes / 64 ? lines_of_part : 0;
    t->prefetch = next + done * (t->steps / kPrefetchSteps) * 64;
  }

  OpContext& context_;
  const LinearArgs& args_;
  const int64_t row_, rows_;
  int64_t tiles_;
  int64_t tile_rows_, left_over_;
  int64_t tile_width_;  // in units of kPanelStep outputs
  bool streams_;        // one tile holds all rows and the whole width of a panel
  int64_t steps_;
  bool half_step_;
  int64_t block_steps_;
  int64_t row_units_;  // of one row, all blocks
  const float* a_;
  float* sums_;
  int64_t sums_per_worker_;
};

template <class Weights>
void RunWeights(OpContext& context, const LinearArgs& args) {
  const int64_t passes = (args.m + kPassRows - 1) / kPassRows;
  for (int64_t pass = 0; pass < passes; ++pass) {
    const int64_t begin = args.m * pass / passes, end = args.m * (pass + 1) / passes;
    Pass<Weights>(context, args, begin, end - begin).Run();
  }
}

#if !LANES_HAS_BF16_DOT
void LinearRun(OpContext& context, const LinearArgs& args) {
  if (args.weight.dtype == LANES_F32) {
    RunWeights<F32Weights>(context, args);
  } else if (args.weight.dtype == LANES_BF16) {
    RunWeights<Bf16Weights>(context, args);
  } else {
    RunWeights<F16Weights>(context, args);
  }
}
#endif

}  // namespace
}  // namespace LANES_ISA
}  // namespace lanes
