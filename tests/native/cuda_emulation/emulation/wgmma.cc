// Products of a warpgroup. A warp's rows of the result depend on its rows of a and on all of b, so each warp keeps its own list of what
// it has issued, and computes it when it must; that all warps of a warpgroup issue the same is checked.
//
// The numbers of an accumulator go into a copy when a product is issued, and come back when the last one on it has been waited for.
// Meanwhile the registers hold NaN: who reads them too early will see.
#include <immintrin.h>
#include <string.h>

#include <deque>
#include <memory>
#include <vector>

#include "emulation/hopper.h"
#include "emulation/matrix.h"
#include "emulation/proxy.h"

namespace lanes::cuda::emulation {

namespace {

constexpr int32_t kMostColumns = 256;

// The rows of one warp, of 16, and where each lane has its part.
struct Accumulator {
  void* registers[32];
  int32_t columns;
  uint32_t under_way = 0;
  uint64_t last_group = 0;  // of its products
  alignas(64) uint32_t numbers[16 * kMostColumns];
};

struct Product {
  WgmmaOperation operation;
  Accumulator* accumulator;
  uint64_t group;
  uint32_t a[32][4];
};

struct WarpProducts {
  uint64_t run = 0;  // the cluster they belong to
  bool fenced = false;
  uint64_t groups = 0;  // committed
  uint64_t issued = 0;
  std::deque<Product> products;
  std::vector<std::unique_ptr<Accumulator>> accumulators;
};

// What the first warp of a warpgroup to come there has issued, product by product.
struct WarpgroupProducts {
  uint64_t run = 0;
  std::vector<WgmmaOperation> issued;
};

struct State {
  WarpProducts warps[16][32];
  WarpgroupProducts warpgroups[16][8];
};
State& state = *new State;

WarpProducts& ProductsOf(const Warp& warp) {
  WarpProducts& products = state.warps[warp.block->rank][warp.index];
  const uint64_t run = warp.block->cluster->run;
  if (products.run != run) {
    products = WarpProducts();
    products.run = run;
  }
  return products;
}

void CheckWarpgroup(const Warp& warp, uint64_t number, const WgmmaOperation& operation) {
  WarpgroupProducts& group = state.warpgroups[warp.block->rank][warp.index / 4];
  if (group.run != warp.block->cluster->run) {
    group.run = warp.block->cluster->run;
    group.issued.clear();
  }
  if (number == group.issued.size()) {
    group.issued.push_back(operation);
    return;
  }
  const WgmmaOperation& other = group.issued[number];
  if (other.type != operation.type || other.columns != operation.columns || other.a_registers != operation.a_registers ||
      other.b_other != operation.b_other || other.accumulate != operation.accumulate || other.a != operation.a || other.b != operation.b) {
    Fault("wgmma: the warps of a warpgroup differ in product %llu: a %#llx and %#llx, b %#llx and %#llx, %d and %d columns",
          static_cast<unsigned long long>(number), static_cast<unsigned long long>(other.a), static_cast<unsigned long long>(operation.a),
          static_cast<unsigned long long>(other.b), static_cast<unsigned long long>(operation.b), other.columns, operation.columns);
  }
}

// ---- Operands in shared memory -----------------------------------------------------------------------------------

// PTX manual, "Matrix descriptor" and "Strides". Offsets are in bytes.
struct Descriptor {
  uint32_t start, leading, stride;
  uint32_t swizzle_bytes;

  explicit Descriptor(uint64_t bits) {
    constexpr uint32_t kSwizzle[] = {0, 128, 64, 32};
    start = static_cast<uint32_t>(bits & 0x3FFF) << 4;
    leading = static_cast<uint32_t>(bits >> 16 & 0x3FFF) << 4;
    stride = static_cast<uint32_t>(bits >> 32 & 0x3FFF) << 4;
    swizzle_bytes = kSwizzle[bits >> 62];
    if ((bits >> 49 & 7) != 0) Fault("wgmma: a descriptor with a base offset, which is not emulated");
    if ((bits & UINT64_C(0x3FF1C000C000C000)) != 0) {
      Fault("wgmma: a descriptor %#llx with reserved bits", static_cast<unsigned long long>(bits));
    }
  }

  // The 16 bytes at `chunk` (0 or 1: a product has 32 bytes along k) of row `row`, where k is contiguous.
  const unsigned char* Summed(uint32_t row, uint32_t chunk) const {
    const uint32_t width = swizzle_bytes == 0 ? 16 : swizzle_bytes;
    const uint32_t along = swizzle_bytes == 0 ? chunk * leading : chunk * 16;
    return At(start + row / 8 * stride + row % 8 * width + along);
  }
  // Rows 8 * `eight` to 8 * `eight` + 7 at `k`, of 16-bit elements, where rows are contiguous.
  const unsigned char* Other(uint32_t eight, uint32_t k) const {
    if (swizzle_bytes == 0) return At(start + eight * stride + k / 8 * leading + k % 8 * 16);
    const uint32_t chunks = swizzle_bytes / 16;
    return At(start + eight / chunks * leading + k / 8 * stride + k % 8 * swizzle_bytes + eight % chunks * 16);
  }

 private:
  const unsigned char* At(uint32_t address) const {
    const auto within = static_cast<uint32_t>(Swizzled(address, swizzle_bytes));
    auto* const operand = static_cast<const unsigned char*>(SharedPointer(current->block->rank * kSharedWindow + within, 16, 16));
    AsyncReads(operand, 16, "wgmma");
    return operand;
  }
};

using Widen = float (*)(uint16_t);

template <Widen kWiden>
void Widen16(const unsigned char* from, double* to, int32_t step) {
  uint16_t elements[8];
  memcpy(elements, from, 16);
  for (int32_t i = 0; i < 8; ++i) to[i * step] = kWiden(elements[i]);
}

void WidenS8(const unsigned char* from, int16_t* to) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_cvtepi8_epi16(bytes));
}

template <Widen kWiden>
void Run16(const Product& product, uint32_t first_row) {
  const WgmmaOperation& o = product.operation;
  TileA a;
  if (o.a_registers) {
    for (int lane = 0; lane < 32; ++lane) {
      for (int r = 0; r < 4; ++r) {
        const int row = lane / 4 + 8 * (r % 2), k = 2 * (lane % 4) + 8 * (r / 2);
        a.v[row][k] = kWiden(static_cast<uint16_t>(product.a[lane][r]));
        a.v[row][k + 1] = kWiden(static_cast<uint16_t>(product.a[lane][r] >> 16));
      }
    }
  } else {
    const Descriptor descriptor(o.a);
    for (uint32_t row = 0; row < 16; ++row) {
      for (uint32_t chunk = 0; chunk < 2; ++chunk) Widen16<kWiden>(descriptor.Summed(first_row + row, chunk), &a.v[row][8 * chunk], 1);
    }
  }
  const Descriptor descriptor(o.b);
  auto* d = reinterpret_cast<float*>(product.accumulator->numbers);
  for (uint32_t eight = 0; eight < static_cast<uint32_t>(o.columns) / 8; ++eight) {
    TileB b;
    if (o.b_other) {
      for (uint32_t k = 0; k < 16; ++k) Widen16<kWiden>(descriptor.Other(eight, k), b.v[k], 1);
    } else {
      for (uint32_t column = 0; column < 8; ++column) {
        for (uint32_t chunk = 0; chunk < 2; ++chunk) Widen16<kWiden>(descriptor.Summed(8 * eight + column, chunk), &b.v[8 * chunk][column], 8);
      }
    }
    MultiplyAdd(a, b, d + 8 * eight, o.columns);
  }
}

void RunS8(const Product& product, uint32_t first_row) {
  const WgmmaOperation& o = product.operation;
  const Descriptor a_descriptor(o.a), b_descriptor(o.b);
  TileA8 a;
  for (uint32_t row = 0; row < 16; ++row) {
    for (uint32_t chunk = 0; chunk < 2; ++chunk) WidenS8(a_descriptor.Summed(first_row + row, chunk), &a.v[row][16 * chunk]);
  }
  auto* d = reinterpret_cast<int32_t*>(product.accumulator->numbers);
  for (uint32_t eight = 0; eight < static_cast<uint32_t>(o.columns) / 8; ++eight) {
    TileB8 b;
    for (uint32_t column = 0; column < 8; ++column) {
      for (uint32_t chunk = 0; chunk < 2; ++chunk) WidenS8(b_descriptor.Summed(8 * eight + column, chunk), &b.v[column][16 * chunk]);
    }
    MultiplyAdd(a, b, d + 8 * eight, o.columns);
  }
}

// ---- Accumulators ------------------------------------------------------------------------------------------------

// Visits the pairs of numbers that a lane holds: (its register, their place in the rows).
template <class Visit>
void ForPairs(const Accumulator& accumulator, const Visit& visit) {
  for (int32_t lane = 0; lane < 32; ++lane) {
    auto* registers = static_cast<unsigned char*>(accumulator.registers[lane]);
    for (int32_t i = 0; i < accumulator.columns / 4; ++i) {
      const int32_t row = lane / 4 + 8 * (i % 2), column = 8 * (i / 2) + 2 * (lane % 4);
      visit(registers + 8 * i, row * accumulator.columns + column);
    }
  }
}

Accumulator* AccumulatorOf(WarpProducts& products, void* const (&registers)[32], int32_t columns) {
  for (auto& accumulator : products.accumulators) {
    if (accumulator->registers[0] != registers[0]) continue;
    if (accumulator->columns != columns) Fault("wgmma: products of different widths on the same registers");
    return accumulator.get();
  }
  auto accumulator = std::make_unique<Accumulator>();
  memcpy(accumulator->registers, registers, sizeof registers);
  accumulator->columns = columns;
  ForPairs(*accumulator, [&](unsigned char* pair, int32_t place) {
    memcpy(&accumulator->numbers[place], pair, 8);
    memset(pair, 0xFF, 8);
  });
  products.accumulators.push_back(std::move(accumulator));
  return products.accumulators.back().get();
}

void RunFirst(WarpProducts& products, uint32_t warp) {
  const Product& product = products.products.front();
  Accumulator& accumulator = *product.accumulator;
  if (!product.operation.accumulate) memset(accumulator.numbers, 0, 4 * 16 * static_cast<size_t>(accumulator.columns));
  const uint32_t first_row = warp % 4 * 16;
  switch (product.operation.type) {
    case WgmmaType::kBf16:
      Run16<Bf16ToFloat>(product, first_row);
      break;
    case WgmmaType::kF16:
      Run16<F16ToFloat>(product, first_row);
      break;
    case WgmmaType::kS8:
      RunS8(product, first_row);
  }
  --accumulator.under_way;
  products.products.pop_front();
}

// ---- The instructions, met by a warp -----------------------------------------------------------------------------

struct IssueArgs {
  const WgmmaOperation* operation;
  void* d;
  const uint32_t* a;
};

void NeedAll(uint32_t mask, const char* what) {
  if (mask != ~0u) Fault("%s needs all lanes", what);
}

void RunFence(void* const*, uint32_t mask) {
  NeedAll(mask, "wgmma.fence");
  ProductsOf(*current->warp).fenced = true;
}

void RunIssue(void* const* lanes, uint32_t mask) {
  NeedAll(mask, "wgmma.mma_async");
  const Warp& warp = *current->warp;
  if (warp.block->warp_count < (warp.index / 4 + 1) * 4) Fault("wgmma: warp %u is in no whole warpgroup", warp.index);
  WarpProducts& products = ProductsOf(warp);
  if (!products.fenced) Fault("wgmma.mma_async without wgmma.fence since the kernel began or since the last wgmma.wait_group");
  auto* args = reinterpret_cast<const IssueArgs* const*>(lanes);
  Product product;
  product.operation = *args[0]->operation;
  void* registers[32];
  for (int lane = 0; lane < 32; ++lane) {
    const WgmmaOperation& own = *args[lane]->operation;
    if (own.a != product.operation.a || own.b != product.operation.b || own.accumulate != product.operation.accumulate) {
      Fault("wgmma: the lanes of a warp differ in their descriptors or in whether they accumulate");
    }
    registers[lane] = args[lane]->d;
    if (product.operation.a_registers) memcpy(product.a[lane], args[lane]->a, 16);
  }
  CheckWarpgroup(warp, products.issued++, product.operation);
  product.accumulator = AccumulatorOf(products, registers, product.operation.columns);
  ++product.accumulator->under_way;
  product.group = product.accumulator->last_group = products.groups;
  products.products.push_back(product);
  while (!products.products.empty() && Sometimes(3)) RunFirst(products, warp.index);
}

void RunCommit(void* const*, uint32_t mask) {
  NeedAll(mask, "wgmma.commit_group");
  ++ProductsOf(*current->warp).groups;
}

void RunWait(void* const* lanes, uint32_t mask) {
  NeedAll(mask, "wgmma.wait_group");
  WarpProducts& products = ProductsOf(*current->warp);
  products.fenced = false;
  const uint32_t pending = *static_cast<const uint32_t*>(lanes[0]);
  if (products.groups < pending) return;
  const uint64_t end = products.groups - pending;
  while (!products.products.empty() && products.products.front().group < end) RunFirst(products, current->warp->index);
  auto& accumulators = products.accumulators;
  for (size_t i = 0; i < accumulators.size();) {
    Accumulator& accumulator = *accumulators[i];
    // Those of groups that nobody has waited for come back later, also when their products happen to have run.
    if (accumulator.under_way != 0 || accumulator.last_group >= end) {
      ++i;
      continue;
    }
    ForPairs(accumulator, [&](unsigned char* pair, int32_t place) { memcpy(pair, &accumulator.numbers[place], 8); });
    accumulators.erase(accumulators.begin() + static_cast<ptrdiff_t>(i));
  }
}

constexpr Instruction kFence = {"wgmma.fence", RunFence};
constexpr Instruction kIssue = {"wgmma.mma_async", RunIssue};
constexpr Instruction kCommit = {"wgmma.commit_group", RunCommit};
constexpr Instruction kWait = {"wgmma.wait_group", RunWait};

}  // namespace

void FenceProducts() { WarpMeet(kFence, ~0u, nullptr); }

void IssueProduct(const WgmmaOperation& operation, void* d, const uint32_t* a) {
  IssueArgs args = {&operation, d, a};
  WarpMeet(kIssue, ~0u, &args);
}

void CommitProducts() { WarpMeet(kCommit, ~0u, nullptr); }

void WaitProducts(uint32_t pending) { WarpMeet(kWait, ~0u, &pending); }

}  // namespace lanes::cuda::emulation
