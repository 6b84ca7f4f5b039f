#include "cuda/common/arena.h"

#include <algorithm>

#include "core/numeric.h"

namespace lanes::cuda {
namespace {

constexpr int64_t kAlignment = 256;
constexpr int64_t kSmallestBlock = 1 << 20;

}  // namespace

Arena::Arena(DeviceMemory& memory, int32_t host_copies) : memory_(memory), host_copies_(host_copies) {}

Arena::~Arena() {
  for (const Block& block : blocks_) {
    for (unsigned char* host : block.host) memory_.FreeHost(host);
    memory_.Free(block.device);
  }
}

Arena::Piece Arena::Take(int64_t bytes) {
  const int64_t needed = std::max(RoundUp(bytes, kAlignment), kAlignment);
  while (current_ < blocks_.size() && blocks_[current_].bytes - blocks_[current_].used < needed) ++current_;
  if (current_ == blocks_.size()) AddBlock(needed);
  Block& block = blocks_[current_];
  const Piece piece = {block.device + block.used, static_cast<int32_t>(current_), block.used};
  block.used += needed;
  return piece;
}

void Arena::Rewind() {
  for (Block& block : blocks_) block.used = 0;
  current_ = 0;
}

void Arena::AddBlock(int64_t needed) {
  // As much as there is already, where that can be had: however much is needed in the end, there are few blocks.
  int64_t bytes = kSmallestBlock;
  for (const Block& block : blocks_) bytes += block.bytes;
  if (bytes > needed) {
    try {
      AddBlockOf(bytes);
      return;
    } catch (const Error& error) {
      if (error.status() != LANES_ERROR_OUT_OF_MEMORY) throw;
    }
  }
  AddBlockOf(RoundUp(needed, kSmallestBlock));
}

void Arena::AddBlockOf(int64_t bytes) {
  Block block = {static_cast<unsigned char*>(memory_.Allocate(static_cast<uint64_t>(bytes), LANES_MEMORY_SCRATCH)), {}, bytes, 0};
  try {
    blocks_.reserve(blocks_.size() + 1);
    block.host.reserve(host_copies_);
    for (int32_t i = 0; i < host_copies_; ++i) {
      block.host.push_back(static_cast<unsigned char*>(memory_.AllocateHost(static_cast<uint64_t>(bytes))));
    }
  } catch (...) {
    for (unsigned char* host : block.host) memory_.FreeHost(host);
    memory_.Free(block.device);
    throw;
  }
  blocks_.push_back(std::move(block));
}

}  // namespace lanes::cuda
