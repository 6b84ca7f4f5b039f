// Which tile the kernel of gemm_sm90.cuh runs with, and on how many blocks. Host decisions without device code.
//
// A block computes 64 * consumers features by `tokens` tokens, one k line of 128 bytes after the other. Two blocks of a cluster take
// neighbouring features of the same tokens: each copies one half of the tokens' lines to both.
#ifndef LANES_CUDA_LINEAR_HEURISTICS_SM90_H_
#define LANES_CUDA_LINEAR_HEURISTICS_SM90_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>

namespace lanes::cuda {

inline constexpr int32_t kSm90LineBytes = 128;
inline constexpr int32_t kSm90SharedLimit = 227 * 1024;

struct Sm90Tile {
  int32_t consumers;  // warpgroups: 1 or 2
  int32_t tokens;     // a multiple of 16
};

// Every tile the kernel is built for, large ones first.
inline constexpr Sm90Tile kSm90Tiles[] = {{2, 256}, {2, 192}, {2, 160}, {2, 128}, {2, 96}, {2, 64}, {1, 128}, {1, 64}, {1, 32}};

// ---- What follows from a tile ------------------------------------------------------------------------------------

constexpr int32_t Sm90Features(Sm90Tile t) { return 64 * t.consumers; }
// The producer is one warp; where registers move from it to two consumers, its whole warpgroup must be there to give them.
constexpr int32_t Sm90Threads(Sm90Tile t) { return t.consumers == 2 ? 384 : 160; }
// Tokens that a consumer turns round in shared memory at a time.
constexpr int32_t Sm90Chunk(Sm90Tile t) { return t.tokens % 32 == 0 ? 32 : 16; }
// Their rows are four floats longer than the features, so that neither way meets in a bank.
inline constexpr int32_t kSm90StagingRow = 64 + 4;
constexpr int32_t Sm90StagingBytes(Sm90Tile t) { return t.consumers * Sm90Chunk(t) * kSm90StagingRow * 4; }
constexpr int32_t Sm90StageBytes(Sm90Tile t) { return (Sm90Features(t) + t.tokens) * kSm90LineBytes; }
inline constexpr int32_t kSm90MostStages = 12;
// Behind the stages and the staging: two barriers a stage.
inline constexpr int32_t kSm90BarrierBytes = kSm90MostStages * 16;
constexpr int32_t Sm90Stages(Sm90Tile t) {
  return std::min(kSm90MostStages, (kSm90SharedLimit - Sm90StagingBytes(t) - kSm90BarrierBytes) / Sm90StageBytes(t));
}
constexpr int32_t Sm90SharedBytes(Sm90Tile t) {
  return Sm90Stages(t) * Sm90StageBytes(t) + Sm90StagingBytes(t) + kSm90BarrierBytes;
}

// ---- Order of tiles ----------------------------------------------------------------------------------------------
//
// Clusters take tiles `cluster`, `cluster + clusters`, ... of an order that goes through bands of `band` feature tiles, in a band
// token tile by token tile: what runs at one time then shares weights and tokens in the second-level cache.

struct Sm90Order {
  int32_t feature_tiles;  // of a whole cluster
  int32_t token_tiles;
  int32_t band;
};

struct Sm90Position {
  int32_t feature_tile, token_tile;
};

#ifdef __CUDACC__
__host__ __device__
#endif
constexpr Sm90Position Sm90PositionOf(const Sm90Order& order, int32_t tile) {
  const int32_t whole = order.band * order.token_tiles;
  const int32_t begin = tile / whole * order.band, rest = tile % whole;
  const int32_t width = order.feature_tiles - begin < order.band ? order.feature_tiles - begin : order.band;
  return {begin + rest % width, rest / width};
}

// ---- Choice ------------------------------------------------------------------------------------------------------

struct Sm90Plan {
  int32_t tile;      // index into kSm90Tiles
  int32_t cluster;   // blocks: 1 or 2
  int32_t clusters;  // that run at one time
  int32_t tiles;     // of clusters, in all
  int32_t lines;     // of 128 bytes along k
  Sm90Order order;
};

struct Sm90Shape {
  int64_t m, n;
  int64_t row_bytes;         // of the weight
  int32_t result_bytes = 4;  // of an element
};

inline int64_t Sm90DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Cycles of a multiprocessor that the whole product should take. Rates in bytes per cycle are of an H200 at 1.75 GHz, whose copies
// run at 4.3 TB/s; those of the second-level cache are estimates.
inline double Sm90Cycles(const Sm90Shape& shape, Sm90Tile tile, int32_t cluster, int32_t multiprocessors) {
  const double features = Sm90Features(tile), tokens = tile.tokens;
  const double lines = static_cast<double>(Sm90DivideUp(shape.row_bytes, kSm90LineBytes));
  const int64_t tiles = Sm90DivideUp(shape.n, Sm90Features(tile) * cluster) * Sm90DivideUp(shape.m, tile.tokens);
  const int64_t at_once = std::min<int64_t>(tiles, multiprocessors / cluster);
  const int64_t waves = Sm90DivideUp(tiles, at_once);
  // One line: 2 * 2,048 operations of bfloat16 a cycle; shared memory, 128 bytes a cycle; what arrives, 64 a cycle; what the
  // second-level cache sends to all, 40 a cycle for each multiprocessor.
  const double multiply = features * tokens / 32;
  const double operands = tile.consumers * (tokens + 64);
  const double arrive = (features + tokens) * kSm90LineBytes / 64;
  const double send = (features + tokens / cluster) * kSm90LineBytes / 40 * static_cast<double>(at_once * cluster) / multiprocessors;
  const double line = std::max(std::max(multiply, operands), std::max(arrive, send));
  // Filling the pipeline, and turning the sums into y.
  const double around = 1500 + features * tokens / 8;
  const double bytes = static_cast<double>(shape.n + shape.m) * static_cast<double>(shape.row_bytes) +
                       shape.result_bytes * static_cast<double>(shape.n) * static_cast<double>(shape.m);
  const double products = static_cast<double>(waves) * (lines * line + around), memory = bytes / (4.3e12 / 1.75e9);
  // The shorter one does not hide altogether.
  return std::max(products, memory) + 0.15 * std::min(products, memory);
}

// Halves of the tokens' lines are whole groups of eight for two consumers only, and a cluster needs two feature tiles.
inline bool Sm90Clusters(const Sm90Shape& shape, Sm90Tile tile, int32_t multiprocessors) {
  return tile.consumers == 2 && shape.n > Sm90Features(tile) && multiprocessors >= 2;
}

// Whether a narrower tile of as many features has room for all tokens.
inline bool Sm90TooWide(const Sm90Shape& shape, Sm90Tile tile) {
  for (const Sm90Tile other : kSm90Tiles) {
    if (other.consumers == tile.consumers && other.tokens < tile.tokens && other.tokens >= shape.m) return true;
  }
  return false;
}

// The product in tiles of kSm90Tiles[index]. False for shapes that 32-bit coordinates do not reach.
inline bool PlanSm90(const Sm90Shape& shape, int32_t index, int32_t cluster, int32_t multiprocessors, Sm90Plan* plan) {
  if (shape.m > INT32_MAX / 2 || shape.n > INT32_MAX / 2 || shape.row_bytes > INT32_MAX / 2) return false;
  const Sm90Tile tile = kSm90Tiles[index];
  const int64_t features = Sm90Features(tile) * cluster;
  const int64_t feature_tiles = Sm90DivideUp(shape.n, features), token_tiles = Sm90DivideUp(shape.m, tile.tokens);
  if (feature_tiles * token_tiles > INT32_MAX / 2) return false;
  plan->tile = index;
  plan->cluster = cluster;
  plan->tiles = static_cast<int32_t>(feature_tiles * token_tiles);
  plan->clusters = std::min(plan->tiles, multiprocessors / cluster);
  plan->lines = static_cast<int32_t>(Sm90DivideUp(shape.row_bytes, kSm90LineBytes));
  // Tiles that run at one time cover `band` feature tiles by clusters / band token tiles; their lines are fewest in a square.
  const double square = std::sqrt(static_cast<double>(plan->clusters) * tile.tokens / static_cast<double>(features));
  const int64_t band = std::clamp<int64_t>(std::llround(square), 1, feature_tiles);
  plan->order = {static_cast<int32_t>(feature_tiles), static_cast<int32_t>(token_tiles), static_cast<int32_t>(band)};
  return true;
}

inline bool ChooseSm90(const Sm90Shape& shape, int32_t multiprocessors, Sm90Plan* plan) {
  double best = INFINITY;
  int32_t best_tile = 0, best_cluster = 1;
  for (int32_t i = 0; i < static_cast<int32_t>(std::size(kSm90Tiles)); ++i) {
    if (Sm90TooWide(shape, kSm90Tiles[i])) continue;
    for (const int32_t cluster : {2, 1}) {
      if (cluster == 2 && !Sm90Clusters(shape, kSm90Tiles[i], multiprocessors)) continue;
      const double cycles = Sm90Cycles(shape, kSm90Tiles[i], cluster, multiprocessors);
      // A smaller tile moves more bytes for the same product, which takes power where it takes no time: it has to win clearly.
      if (!(cycles < 0.97 * best)) continue;
      best = cycles;
      best_tile = i;
      best_cluster = cluster;
    }
  }
  return PlanSm90(shape, best_tile, best_cluster, multiprocessors, plan);
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_LINEAR_HEURISTICS_SM90_H_
