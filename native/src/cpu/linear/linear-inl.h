// y = residual + activation(x * weight^T + bias) from panels of kPanelRows outputs.
//
// The rows of x are packed into tiles of up to kTileRows rows, k-major, so that a tile's step reads one short run of memory.
// A task is one panel and a group of tiles: it walks the panel in blocks of k that stay in the caches, keeps kTileRows x
// kPanelRows sums in registers inside a block, and parks them in its worker's buffer between blocks. Meanwhile the next block
// is prefetched. One row takes the same way, with one tile and one block: the panel streams past once.
//
// Each output is summed in runs of kRunDepth inputs, counted from the first; the runs' sums are then added in order. That
// halves the rounding error of long sums, and, as the runs do not depend on the blocks, it is the same for every number of rows.
#include "core/parallel.h"
#include "lanes/lanes.h"
#include "ops/linear.h"

namespace lanes {
namespace LANES_ISA {
namespace {

#define LANES_INLINE static inline __attribute__((always_inline))

constexpr int64_t kTileRows = 6;
// A panel's block: stays in the second-level cache while the tiles pass.
constexpr int64_t kBlockBytes = 64 << 10;
// The same for few tiles, where reading the panel takes longer than multiplying: in small bites the two go side by side.
constexpr int64_t kFewTiles = 4, kSmallBlockBytes = 16 << 10;
// Inputs that are summed before their sum joins the others.
constexpr int64_t kRunDepth = 256;
// Rows that one task sums at most; its parked sums take 64 floats for each.
constexpr int64_t kGroupRows = 510;
// Rows packed at a time; each pass reads all weights.
constexpr int64_t kPassRows = 1020;
// Steps between two rounds of prefetches.
constexpr int64_t kStrip = 4;
// A single tile streams the panel: this far ahead.
constexpr int64_t kStreamAhead = 4096;

// ---- Types of weights: how one step multiplies ------------------------------------------------------------------------
//
// kDepth: k per step. kLaneBytes: bytes of one output in one step. `a` holds kUnits 32-bit units of each row for a step.

struct F32Weights {
  static constexpr int kDepth = 1, kLaneBytes = 4, kUnits = 1;
  static constexpr bool kOddTail = false;
  template <int kRows, int kVectors>
  LANES_INLINE void Step(const float* a, const char* b, F32 (&sum)[kRows][kVectors]) {
    F32 w[kVectors];
    for (int v = 0; v < kVectors; ++v) w[v] = Load(reinterpret_cast<const float*>(b) + v * kLanes);
    for (int i = 0; i < kRows; ++i) {
      const F32 x = Set(a[i]);
      for (int v = 0; v < kVectors; ++v) sum[i][v] = Fma(x, w[v], sum[i][v]);
    }
  }
};

struct F16Weights {
  static constexpr int kDepth = 1, kLaneBytes = 2, kUnits = 1;
  static constexpr bool kOddTail = false;
  template <int kRows, int kVectors>
  LANES_INLINE void Step(const float* a, const char* b, F32 (&sum)[kRows][kVectors]) {
    F32 w[kVectors];
    for (int v = 0; v < kVectors; ++v) w[v] = LoadF16(reinterpret_cast<const uint16_t*>(b) + v * kLanes);
    for (int i = 0; i < kRows; ++i) {
      const F32 x = Set(a[i]);
      for (int v = 0; v < kVectors; ++v) sum[i][v] = Fma(x, w[v], sum[i][v]);
    }
  }
};

// Pairs of k. Where k is odd the last step multiplies its first half only: adding 0 * 0 could turn a sum of -0 into 0.
struct Bf16Weights {
  static constexpr int kDepth = 2, kLaneBytes = 4, kUnits = 2;
  static constexpr bool kOddTail = true;
  template <int kRows, int kVectors>
  LANES_INLINE void Step(const float* a, const char* b, F32 (&sum)[kRows][kVectors]) {
    // One half after the other: both at once would not fit the registers.
    F32 w[kVectors];
    for (int v = 0; v < kVectors; ++v) w[v] = LoadBf16Even(reinterpret_cast<const uint16_t*>(b) + v * 2 * kLanes);
    for (int i = 0; i < kRows; ++i) {
      const F32 x = Set(a[i]);
      for (int v = 0; v < kVectors; ++v) sum[i][v] = Fma(x, w[v], sum[i][v]);
    }
    for (int v = 0; v < kVectors; ++v) w[v] = LoadBf16Odd(reinterpret_cast<const uint16_t*>(b) + v * 2 * kLanes);
    for (int i = 0; i < kRows; ++i) {
      const F32 x = Set(a[kRows + i]);
      for (int v = 0; v < kVectors; ++v) sum[i][v] = Fma(x, w[v], sum[i][v]);
    }
  }
  template <int kRows, int kVectors>
  LANES_INLINE void HalfStep(const float* a, const char* b, F32 (&sum)[kRows][kVectors]) {
    for (int v = 0; v < kVectors; ++v) {
      const F32 even = LoadBf16Even(reinterpret_cast<const uint16_t*>(b) + v * 2 * kLanes);
      for (int i = 0; i < kRows; ++i) sum[i][v] = Fma(Set(a[i]), even, sum[i][v]);
    }
  }
};

#if LANES_HAS_BF16_DOT
// The processor's own bfloat16 dot product of pairs; x was rounded when it was packed.
struct Bf16DotWeights {
  static constexpr int kDepth = 2, kLaneBytes = 4, kUnits = 1;
  static constexpr bool kOddTail = false;
  template <int kRows, int kVectors>
  LANES_INLINE void Step(const float* a, const char* b, F32 (&sum)[kRows][kVectors]) {
    I32 w[kVectors];
    for (int v = 0; v < kVectors; ++v) w[v] = LoadI(reinterpret_cast<const int32_t*>(b) + v * kLanes);
    for (int i = 0; i < kRows; ++i) {
      const I32 x = AsInt(Set(a[i]));
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
  int64_t run_steps;   // of the run that is under way, taken by earlier blocks
  bool last;           // the block ends the sums
  bool resume;         // sums hold earlier runs; else the first run is under way
  float* sums;         // [kRows, kPanelRows] of the runs that are complete
  float* parked;       // [kRows, kPanelRows] of a run that a block leaves under way
  const char* prefetch;
  int64_t prefetch_lines;  // per strip
};

template <int kRows, int kVectors>
LANES_INLINE void ClearSums(F32 (&sum)[kRows][kVectors]) {
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[i][v] = Zero();
  }
}

template <int kRows, int kVectors>
LANES_INLINE void LoadSums(const float* from, F32 (&sum)[kRows][kVectors]) {
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[i][v] = Load(from + i * kPanelRows + v * kLanes);
  }
}

template <int kRows, int kVectors>
LANES_INLINE void AddSums(const float* earlier, F32 (&sum)[kRows][kVectors]) {
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[i][v] = Add(Load(earlier + i * kPanelRows + v * kLanes), sum[i][v]);
  }
}

template <int kRows, int kVectors>
LANES_INLINE void StoreSums(const F32 (&sum)[kRows][kVectors], float* to) {
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) Store(to + i * kPanelRows + v * kLanes, sum[i][v]);
  }
}

template <class Weights, int kRows, int kVectors>
void Tile(const TileArgs& t) {
  constexpr int64_t kRunSteps = kRunDepth / Weights::kDepth;
  constexpr int kAStep = kRows * Weights::kUnits;
  F32 sum[kRows][kVectors];
  if (t.run_steps > 0) {
    LoadSums(t.parked, sum);
  } else {
    ClearSums(sum);
  }
  const float* a = t.a;
  const char* b = t.b;
  const char* prefetch = t.prefetch;
  const int64_t step_bytes = t.step_bytes;
  int64_t before = t.run_steps, left = t.steps;
  bool resume = t.resume;
  while (true) {
    const int64_t steps = left < kRunSteps - before ? left : kRunSteps - before;
    left -= steps;
    int64_t s = steps;
    for (; s >= kStrip; s -= kStrip) {
      for (int64_t line = 0; line < t.prefetch_lines; ++line) Prefetch(prefetch + line * 64);
      prefetch += t.prefetch_lines * 64;
#pragma GCC unroll 4
      for (int i = 0; i < kStrip; ++i) {
        Weights::template Step<kRows, kVectors>(a, b, sum);
        a += kAStep;
        b += step_bytes;
      }
    }
    for (; s > 0; --s) {
      Weights::template Step<kRows, kVectors>(a, b, sum);
      a += kAStep;
      b += step_bytes;
    }
    if constexpr (Weights::kOddTail) {
      if (left == 0 && t.half_step) Weights::template HalfStep<kRows, kVectors>(a, b, sum);
    }
    if (before + steps < kRunSteps && !t.last) {
      StoreSums(sum, t.parked);
      return;
    }
    if (resume) AddSums(t.sums, sum);
    StoreSums(sum, t.sums);
    if (left == 0) return;
    ClearSums(sum);
    resume = true;
    before = 0;
  }
}

// Widths of tiles come in pairs of vectors where a vector is half of kPanelStep.
constexpr int kUnitVectors = static_cast<int>(kPanelStep) / kLanes;
constexpr int kWidths = static_cast<int>(kPanelRows / kPanelStep);

// How many units of kPanelStep outputs a tile of `rows` rows keeps in registers: its sums may take three quarters of them.
constexpr int UnitsInRegisters(int rows) {
  int units = kWidths;
  while (units > 1 && rows * units * kUnitVectors > kRegisters * 3 / 4) units /= 2;
  return units;
}

using TileFunction = void (*)(const TileArgs&);

template <class Weights, int kRows>
struct TileRow {
  template <int kUnits>
  static constexpr TileFunction Get() {
    if constexpr (kUnits <= UnitsInRegisters(kRows)) {
      return Tile<Weights, kRows, kUnits * kUnitVectors>;
    } else {
      return nullptr;
    }
  }
  static constexpr TileFunction kFunctions[kWidths] = {Get<1>(), Get<2>(), Get<3>(), Get<4>()};
};

template <class Weights>
TileFunction FindTile(int64_t rows, int64_t units) {
  static constexpr const TileFunction* kRowsTable[kTileRows] = {
      TileRow<Weights, 1>::kFunctions, TileRow<Weights, 2>::kFunctions, TileRow<Weights, 3>::kFunctions,
      TileRow<Weights, 4>::kFunctions, TileRow<Weights, 5>::kFunctions, TileRow<Weights, 6>::kFunctions};
  return kRowsTable[rows - 1][units - 1];
}

// ---- Epilogue -------------------------------------------------------------------------------------------------------------

// Rows row … row + rows - 1, outputs col … col + width - 1 (those past n are padding).
void Finish(const LinearArgs& args, int64_t row, int64_t rows, int64_t col, int64_t width, const float* sums) {
  const int64_t n = args.weight.rows - col < width ? args.weight.rows - col : width;
  for (int64_t i = 0; i < rows; ++i) {
    float* y = args.y + (row + i) * args.y_stride + col;
    const float* residual = args.residual == nullptr ? nullptr : args.residual + (row + i) * args.residual_stride + col;
    for (int64_t j = 0; j < n; j += kLanes) {
      const int64_t lanes = n - j < kLanes ? n - j : kLanes;
      F32 value = Load(sums + i * kPanelRows + j);
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

// kLanes units of one row of x, from `unit` on; what lies behind its end is 0.
template <class Weights>
void LoadUnits(const float* x, int64_t k, int64_t unit, float* run) {
  if constexpr (Weights::kDepth == 2 && Weights::kUnits == 1) {
    // A unit is a pair of bfloat16; where k is odd the last pair ends with 0.
    const int64_t left = k - 2 * unit, first = left < kLanes ? left : kLanes;
    const int64_t second = left - first < kLanes ? left - first : kLanes;
    uint16_t* halves = reinterpret_cast<uint16_t*>(run);
    StoreBf16(halves, LoadN(x + 2 * unit, first));
    StoreBf16(halves + kLanes, LoadN(x + 2 * unit + first, second));
  } else {
    Store(run, LoadN(x + unit, k - unit < kLanes ? k - unit : kLanes));
  }
}

// Units [begin, begin + count) of `rows` rows of x, from `row` on, to a[unit][row].
template <class Weights>
void PackTile(const LinearArgs& args, int64_t row, int64_t rows, int64_t begin, int64_t count, float* a) {
  static_assert(kTileRows <= kOctet, "a tile's rows are transposed at once");
  constexpr int64_t kRun = kLanes > kOctet ? kLanes : kOctet;
  // Rows that the tile lacks stay 0.
  alignas(64) float runs[kOctet][kRun] = {};
  for (int64_t done = 0; done < count; done += kRun) {
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t u = 0; u < kRun && done + u < count; u += kLanes) {
        LoadUnits<Weights>(args.x + (row + i) * args.x_stride, args.weight.cols, begin + done + u, runs[i] + u);
      }
    }
    for (int64_t u = 0; u < kRun && done + u < count; u += kOctet) {
      Octet units[kOctet];
      for (int i = 0; i < kOctet; ++i) units[i] = LoadOctet(runs[i] + u);
      Transpose(units);
      for (int64_t i = 0; i < kOctet && done + u + i < count; ++i) {
        // The next units overwrite what a whole store writes behind its own; behind the last unit is another tile.
        float* out = a + (done + u + i) * rows;
        if ((count - done - u - i) * rows >= kOctet) {
          StoreOctet(out, units[i]);
        } else {
          StoreOctetN(out, units[i], rows);
        }
      }
    }
  }
}

template <class Weights>
class Pass {
 public:
  Pass(OpContext& context, const LinearArgs& args, int64_t row, int64_t rows)
      : context_(context), args_(args), row_(row), tiling_{rows, (rows + kTileRows - 1) / kTileRows} {
    const int64_t k = args.weight.cols;
    row_units_ = (k + Weights::kDepth - 1) / Weights::kDepth * Weights::kUnits;
    half_step_ = Weights::kOddTail && k % 2 != 0;
    steps_ = half_step_ ? k / 2 : (k + Weights::kDepth - 1) / Weights::kDepth;
    const int64_t block_bytes = tiling_.tiles <= kFewTiles ? kSmallBlockBytes : kBlockBytes;
    // A lone tile that keeps the panel's whole width in registers reads it once, so there is nothing to keep in a cache.
    const bool streams = tiling_.tiles == 1 && UnitsInRegisters(static_cast<int>(rows)) == kWidths;
    block_steps_ = streams ? steps_ : block_bytes / (kPanelRows * Weights::kLaneBytes);
    if (block_steps_ > steps_ || block_steps_ == 0) block_steps_ = steps_ > 0 ? steps_ : 1;
    parks_ = steps_ > block_steps_;
    breaks_runs_ = parks_ && block_steps_ % kRunSteps != 0;
  }

  void Run() {
    const int64_t panels = PanelCount(args_.weight), workers = Workers(context_);
    // Tasks enough for all workers, but no smaller than makes reading a block worth it.
    int64_t groups = (tiling_.rows + kGroupRows - 1) / kGroupRows;
    while (panels * groups < 4 * workers && tiling_.tiles / (groups + 1) >= 12) ++groups;
    const int64_t group_rows = (tiling_.tiles / groups + 1) * kTileRows;
    sums_per_worker_ = (parks_ ? group_rows : kTileRows) * kPanelRows;
    const int64_t buffers_per_worker = breaks_runs_ ? 2 : 1;
    const int64_t a_units = (tiling_.rows * row_units_ + 15) / 16 * 16;
    a_ = static_cast<float*>(Scratch(context_, (a_units + workers * buffers_per_worker * sums_per_worker_) * 4));
    sums_ = a_ + a_units;
    parked_ = breaks_runs_ ? sums_ + workers * sums_per_worker_ : sums_;

    // Waking threads costs some microseconds: what takes less is done here.
    const int64_t pack_grain = tiling_.rows * row_units_ < (1 << 15) ? tiling_.tiles : 1;
    ParallelFor(context_, tiling_.tiles, pack_grain, [&](int64_t begin, int64_t end, int) {
      for (int64_t tile = begin; tile < end; ++tile) {
        const int64_t first = tiling_.Begin(tile), rows = tiling_.Begin(tile + 1) - first;
        for (int64_t step = 0; step == 0 || step < steps_; step += block_steps_) {
          PackTile<Weights>(args_, row_ + first, rows, step * Weights::kUnits, BlockUnits(step), TileData(step, first));
        }
      }
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
  static constexpr int64_t kRunSteps = kRunDepth / Weights::kDepth;

  void Task(int64_t panel, int64_t tile_begin, int64_t tile_end, int worker) {
    const WeightView& w = args_.weight;
    const int64_t width = PanelWidth(w, panel), step_bytes = width * Weights::kLaneBytes;
    const char* weights = w.data + PanelOffset(w, panel);
    const int64_t worker_offset = worker * sums_per_worker_;
    const int64_t tiles = tile_end - tile_begin;
    for (int64_t step = 0; step == 0 || step < steps_; step += block_steps_) {
      const int64_t steps = steps_ - step < block_steps_ ? steps_ - step : block_steps_;
      const bool last = step + steps >= steps_;
      for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
        const int64_t first = tiling_.Begin(tile), rows = tiling_.Begin(tile + 1) - first;
        TileArgs t;
        t.a = TileData(step, first);
        t.b = weights + step * step_bytes;
        t.steps = steps;
        t.half_step = last && half_step_;
        t.step_bytes = step_bytes;
        const int64_t offset = worker_offset + (parks_ ? (first - tiling_.Begin(tile_begin)) * kPanelRows : 0);
        t.sums = sums_ + offset;
        t.parked = parked_ + offset;
        t.run_steps = step % kRunSteps;
        t.resume = step >= kRunSteps;
        t.last = last;
        SetPrefetch(&t, tile - tile_begin, tiles);
        float* const sums = t.sums;
        const int64_t units = width / kPanelStep;
        const int64_t most = UnitsInRegisters(static_cast<int>(rows));
        for (int64_t unit = 0; unit < units; unit += most) {
          const int64_t count = units - unit < most ? units - unit : most;
          FindTile<Weights>(rows, count)(t);
          t.b += count * kPanelStep * Weights::kLaneBytes;
          t.sums += count * kPanelStep;
          t.parked += count * kPanelStep;
          t.prefetch_lines = 0;
        }
        if (last) Finish(args_, row_ + first, rows, panel * kPanelRows, width, sums);
      }
    }
  }

  // Units of one row in the block that begins with `step`. The half step belongs to the last block.
  int64_t BlockUnits(int64_t step) const {
    const int64_t end = step + block_steps_ >= steps_ ? steps_ + half_step_ : step + block_steps_;
    return (end - step) * Weights::kUnits;
  }

  // Packed rows: block after block, and in a block tile after tile, so that a task reads on where it stopped.
  float* TileData(int64_t step, int64_t first_row) const {
    return a_ + step * Weights::kUnits * tiling_.rows + first_row * BlockUnits(step);
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
  int64_t row_units_;
  int64_t steps_;
  bool half_step_;
  int64_t block_steps_;
  bool parks_;
  bool breaks_runs_;  // blocks end inside runs
  float* a_;
  float* sums_;
  float* parked_;
  int64_t sums_per_worker_;
};

template <class Weights>
void RunWeights(OpContext& context, const LinearArgs& args) {
  for (int64_t row = 0; row < args.m; row += kPassRows) {
    const int64_t rows = args.m - row < kPassRows ? args.m - row : kPassRows;
    Pass<Weights>(context, args, row, rows).Run();
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
