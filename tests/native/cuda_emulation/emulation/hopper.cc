#include "emulation/hopper.h"

#include <string.h>

#include <algorithm>
#include <memory>

#include "emulation/proxy.h"

namespace lanes::cuda::emulation {

// ---- Barriers ----------------------------------------------------------------------------------------------------

namespace {

// The bits of a barrier: from the lowest, its mark (fresh shared memory has other bits there), the parity of the phase, arrivals that
// are missing, arrivals of a phase, and bytes that are expected less those that came.
constexpr uint64_t kMark = 2;
constexpr uint32_t kMostArrivals = (1 << 20) - 1;
constexpr int64_t kMostBytes = (1 << 20) - 1;

struct Mbarrier {
  uint32_t parity;
  uint32_t missing;
  uint32_t arrivals;
  int64_t bytes;
};

Mbarrier Read(const uint64_t* barrier) {
  CheckShared(barrier, 8, 8, "mbarrier");
  const uint64_t bits = *barrier;
  if ((bits & 3) != kMark) Fault("mbarrier: nobody has initialised it, or something has overwritten it");
  return {static_cast<uint32_t>(bits >> 2 & 1), static_cast<uint32_t>(bits >> 3 & kMostArrivals),
          static_cast<uint32_t>(bits >> 23 & kMostArrivals), static_cast<int64_t>(bits) >> 43};
}

void Write(uint64_t* barrier, Mbarrier b) {
  if (b.bytes > kMostBytes || b.bytes < -kMostBytes) {
    Fault("mbarrier: %lld bytes are expected, more than it can count", static_cast<long long>(b.bytes));
  }
  const bool ends = b.missing == 0 && b.bytes == 0;
  if (ends) {
    b.parity ^= 1;
    b.missing = b.arrivals;
  }
  *barrier = static_cast<uint64_t>(b.bytes) << 43 | static_cast<uint64_t>(b.arrivals) << 23 | static_cast<uint64_t>(b.missing) << 3 |
             static_cast<uint64_t>(b.parity) << 2 | kMark;
  if (ends) Notify(barrier);
}

// What `shared` of the current block is in block `rank` of the cluster.
unsigned char* InBlock(const void* shared, uint32_t rank) {
  const Cluster& cluster = *current->block->cluster;
  if (rank >= cluster.size) Fault("block %u of a cluster of %u", rank, cluster.size);
  if (cluster.blocks[rank].live == 0) Fault("shared memory of block %u of the cluster, which has ended", rank);
  return cluster.blocks[rank].shared + (static_cast<const unsigned char*>(shared) - OwnShared());
}

void TakeBytes(uint64_t* barrier, uint32_t bytes) {
  Mbarrier b = Read(barrier);
  b.bytes -= bytes;
  Write(barrier, b);
}

}  // namespace

void InitMbarrier(uint64_t* barrier, uint32_t arrivals) {
  CheckShared(barrier, 8, 8, "mbarrier.init");
  if (arrivals < 1 || arrivals > kMostArrivals) Fault("mbarrier.init: %u arrivals", arrivals);
  Write(barrier, {0, arrivals, arrivals, 0});
}

void ArriveMbarrier(uint64_t* barrier, uint32_t expected_bytes) {
  Mbarrier b = Read(barrier);
  if (b.missing == 0) Fault("mbarrier: more than its %u arrivals in one phase", b.arrivals);
  --b.missing;
  b.bytes += expected_bytes;
  Write(barrier, b);
}

void ArriveMbarrierAt(uint64_t* barrier, uint32_t rank) { ArriveMbarrier(reinterpret_cast<uint64_t*>(InBlock(barrier, rank)), 0); }

bool TryMbarrier(const uint64_t* barrier, uint32_t parity) {
  if (parity > 1) Fault("mbarrier: parity %u", parity);
  return Read(barrier).parity != parity;
}

void WaitMbarrier(const uint64_t* barrier, uint32_t parity) {
  WaitUntil(barrier, "an mbarrier", [&] { return TryMbarrier(barrier, parity); });
}

// ---- Tiles -------------------------------------------------------------------------------------------------------

namespace {

struct TileArrives {
  TileMap map;
  int32_t begin[5];
  unsigned char* tile;
  uint64_t* barrier;
  void operator()() const {
    CopyBoxIn(map, begin, tile);
    AsyncWrote(tile, BoxBytes(map));
    TakeBytes(barrier, BoxBytes(map));
  }
};

struct TileLeaves {
  TileMap map;
  int32_t begin[5];
  const unsigned char* tile;
  const Thread* thread;
  uint64_t group;
  void operator()() const { CopyBoxOut(map, begin, tile); }
};

void CheckTile(const void* tile, const TileMap& map, int32_t rank, const char* what) {
  if (rank != map.rank) Fault("%s: %d coordinates for a tensor map of rank %u", what, rank, map.rank);
  // The pattern repeats: where it begins elsewhere, descriptors of wgmma need an offset that ours do not have.
  const uint32_t alignment = map.swizzle_bytes == 0 ? 128 : map.swizzle_bytes * 8;
  CheckShared(tile, BoxBytes(map), alignment, what);
}

// Of the stores of each thread, by its place: how many groups it has committed, in the cluster that runs.
struct StoreGroups {
  uint64_t run = 0;
  uint64_t committed = 0;
};

StoreGroups& GroupsOf(const Thread& thread) {
  static StoreGroups(&groups)[16][1024] = *new StoreGroups[1][16][1024];
  const Block& block = *thread.block;
  StoreGroups& g = groups[block.rank][&thread - block.threads];
  if (g.run != block.cluster->run) g = {block.cluster->run, 0};
  return g;
}

void LandTileLeaves(const void* state) { (*static_cast<const TileLeaves*>(state))(); }

}  // namespace

void LoadTile(void* tile, const TensorMap* map, uint64_t* barrier, uint16_t mask, int32_t rank, int32_t c0, int32_t c1, int32_t c2,
              int32_t c3) {
  TileArrives copy = {DecodeTensorMap(map), {c0, c1, c2, c3, 0}, static_cast<unsigned char*>(tile), barrier};
  CheckTile(tile, copy.map, rank, "a TMA load");
  Read(barrier);
  if (mask == 0) {
    RunLater(copy);
    return;
  }
  for (uint32_t to = 0; to < 16; ++to) {
    if ((mask >> to & 1) == 0) continue;
    copy.tile = InBlock(tile, to);
    copy.barrier = reinterpret_cast<uint64_t*>(InBlock(barrier, to));
    RunLater(copy);
  }
}

void StoreTile(const TensorMap* map, const void* tile, int32_t rank, int32_t c0, int32_t c1, int32_t c2, int32_t c3) {
  const TileLeaves copy = {DecodeTensorMap(map), {c0, c1, c2, c3, 0}, static_cast<const unsigned char*>(tile), current,
                           GroupsOf(*current).committed};
  CheckTile(tile, copy.map, rank, "a TMA store");
  AsyncReads(copy.tile, BoxBytes(copy.map), "a TMA store");
  Later later;
  static_assert(sizeof copy <= sizeof later.state);
  later.land = LandTileLeaves;
  memcpy(static_cast<void*>(later.state), &copy, sizeof copy);
  AddLater(later);
}

void CommitStores() { ++GroupsOf(*current).committed; }

// Those that are waited for have read, and here also written.
void WaitStores(uint32_t pending) {
  const uint64_t committed = GroupsOf(*current).committed;
  if (committed <= pending) return;
  auto& later = current->block->cluster->later;
  for (size_t i = 0; i < later.size();) {
    TileLeaves copy;
    if (later[i].land == LandTileLeaves) {
      memcpy(static_cast<void*>(&copy), later[i].state, sizeof copy);
      if (copy.thread == current && copy.group < committed - pending) {
        later.erase(later.begin() + static_cast<ptrdiff_t>(i));
        copy();
        continue;
      }
    }
    ++i;
  }
}

// ---- Registers ---------------------------------------------------------------------------------------------------

namespace {

// Registers of a block whose kernel is compiled for (threads, 1): as many for each thread at its beginning as there are, in eights. What
// warps give back others may take.
struct RegisterFile {
  uint64_t run = 0;
  uint32_t registers[32];  // of each warp's threads
  uint32_t calls[32];
  bool waits[32];
};

RegisterFile(&files)[16] = *new RegisterFile[1][16];

RegisterFile& RegistersOf(const Block& block) {
  RegisterFile& file = files[block.rank];
  if (file.run != block.cluster->run) {
    file = RegisterFile();
    file.run = block.cluster->run;
    for (uint32_t& registers : file.registers) registers = EntryRegisters(block.warp_count);
  }
  return file;
}

bool TakeRegisters(const Block& block, uint32_t warp, uint32_t registers) {
  RegisterFile& file = RegistersOf(block);
  if (!file.waits[warp]) return true;
  uint32_t others = 0;
  for (uint32_t w = 0; w < block.warp_count; ++w) others += w == warp ? 0 : file.registers[w];
  if (others + registers > EntryRegisters(block.warp_count) * block.warp_count) return false;
  file.registers[warp] = registers;
  file.waits[warp] = false;
  return true;
}

struct RegisterArgs {
  uint32_t registers;
  bool increase;
};

void RunRegisters(void* const* lanes, uint32_t mask) {
  const RegisterArgs& args = *static_cast<const RegisterArgs*>(lanes[0]);
  const char* const name = args.increase ? "setmaxnreg.inc" : "setmaxnreg.dec";
  if (mask != ~0u) Fault("%s needs all lanes", name);
  const Warp& warp = *current->warp;
  RegisterFile& file = RegistersOf(*warp.block);
  const uint32_t now = file.registers[warp.index];
  if (args.increase ? args.registers < now : args.registers > now) Fault("%s: %u registers, where there are %u", name, args.registers, now);
  ++file.calls[warp.index];
  if (args.increase) {
    file.waits[warp.index] = true;
  } else {
    file.registers[warp.index] = args.registers;
    Notify(&file);
  }
}

constexpr Instruction kRegisters = {"setmaxnreg", RunRegisters};

}  // namespace

uint32_t EntryRegisters(uint32_t warps) { return std::min(65536 / (32 * warps) / 8 * 8, 256u); }

void SetRegisters(uint32_t registers, bool increase) {
  RegisterArgs args = {registers, increase};
  WarpMeet(kRegisters, ~0u, &args);
  if (!increase) return;
  const Block& block = *current->block;
  WaitUntil(&RegistersOf(block), "registers that no warp gives back", [&] { return TakeRegisters(block, current->warp->index, registers); });
}

bool WarpgroupsSetRegisters(const Block& block) {
  const RegisterFile& file = files[block.rank];
  if (file.run != block.cluster->run) return true;
  for (uint32_t w = 0; w < block.warp_count; ++w) {
    if (file.calls[w] != file.calls[w / 4 * 4]) return false;
  }
  return true;
}

// ---- Warps -------------------------------------------------------------------------------------------------------

namespace {

struct ElectArgs {
  bool elected;
};

void RunElect(void* const* lanes, uint32_t mask) {
  if (mask != ~0u) Fault("elect.sync needs all lanes");
  const uint32_t chosen = Sometimes(2) ? 31 : 0;
  for (uint32_t lane = 0; lane < 32; ++lane) static_cast<ElectArgs*>(lanes[lane])->elected = lane == chosen;
}

struct StoreArgs {
  unsigned char* row;
  const uint32_t* r;
};

template <int kMatrices, bool kTransposed>
void RunStoreMatrix(void* const* lanes, uint32_t mask) {
  if (mask != ~0u) Fault("stmatrix needs all lanes");
  auto* args = reinterpret_cast<const StoreArgs* const*>(lanes);
  for (int i = 0; i < kMatrices; ++i) {
    uint16_t matrix[8][8];
    for (int lane = 0; lane < 32; ++lane) {
      const int g = lane / 4, t = lane % 4;
      const uint32_t r = args[lane]->r[i];
      if constexpr (kTransposed) {
        matrix[2 * t][g] = static_cast<uint16_t>(r);
        matrix[2 * t + 1][g] = static_cast<uint16_t>(r >> 16);
      } else {
        memcpy(&matrix[g][2 * t], &r, 4);
      }
    }
    for (int row = 0; row < 8; ++row) memcpy(args[8 * i + row]->row, matrix[row], 16);
  }
}

constexpr Instruction kElect = {"elect.sync", RunElect};
constexpr Instruction kStoreMatrix[2][2] = {
    {{"stmatrix.x2", RunStoreMatrix<2, false>}, {"stmatrix.x2.trans", RunStoreMatrix<2, true>}},
    {{"stmatrix.x4", RunStoreMatrix<4, false>}, {"stmatrix.x4.trans", RunStoreMatrix<4, true>}},
};

}  // namespace

bool ElectOne() {
  ElectArgs args = {};
  WarpMeet(kElect, ~0u, &args);
  return args.elected;
}

void StoreMatrix(void* shared_row, const uint32_t* r, int matrices, bool transposed) {
  if (current->lane < static_cast<uint32_t>(8 * matrices)) CheckShared(shared_row, 16, 16, "stmatrix");
  StoreArgs args = {static_cast<unsigned char*>(shared_row), r};
  WarpMeet(kStoreMatrix[matrices / 4][transposed], ~0u, &args);
}

}  // namespace lanes::cuda::emulation
