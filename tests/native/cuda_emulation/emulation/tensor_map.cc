#include "emulation/tensor_map.h"

#include <string.h>

#include "emulation/threads.h"

namespace lanes::cuda {

// Refuses what the driver's cuTensorMapEncodeTiled does.
bool EncodeTensorMap(const TensorMapParams& p, TensorMap* map) {
  constexpr uint32_t kElementBytes[] = {1, 2, 4, 2, 2};
  constexpr uint32_t kSwizzleBytes[] = {0, 32, 64, 128};
  const uint32_t element = kElementBytes[static_cast<int32_t>(p.type)];
  const uint32_t swizzle = kSwizzleBytes[static_cast<int32_t>(p.swizzle)];
  if (p.rank < 1 || p.rank > 5) return false;
  if (p.data == nullptr || reinterpret_cast<uintptr_t>(p.data) % 16 != 0) return false;
  emulation::TileMap tiles = {};
  tiles.mark = emulation::kTensorMapMark;
  tiles.data = static_cast<unsigned char*>(const_cast<void*>(p.data));
  tiles.rank = static_cast<uint8_t>(p.rank);
  tiles.swizzle_bytes = static_cast<uint8_t>(swizzle);
  for (int32_t i = 0; i < p.rank; ++i) {
    if (p.size[i] < 1 || p.size[i] > UINT64_C(1) << 32) return false;
    if (p.box[i] < 1 || p.box[i] > 256) return false;
    if (i > 0 && (p.stride_bytes[i] % 16 != 0 || p.stride_bytes[i] >= UINT64_C(1) << 40)) return false;
    tiles.last_index[i] = static_cast<uint32_t>(p.size[i] - 1);
    tiles.stride_bytes[i] = i == 0 ? element : p.stride_bytes[i];
    tiles.box[i] = static_cast<uint16_t>(p.box[i]);
  }
  const uint32_t line = p.box[0] * element;
  if (line % 16 != 0 || (swizzle != 0 && line > swizzle)) return false;
  memset(map->words, 0, sizeof map->words);
  memcpy(map->words, &tiles, sizeof tiles);
  return true;
}

namespace emulation {

TileMap DecodeTensorMap(const TensorMap* map) {
  if (reinterpret_cast<uintptr_t>(map) % 64 != 0) {
    Fault("a tensor map at %p, which is not aligned to 64 bytes", static_cast<const void*>(map));
  }
  TileMap tiles;
  memcpy(&tiles, map->words, sizeof tiles);
  if (tiles.mark != kTensorMapMark) Fault("a tensor map that EncodeTensorMap has not filled");
  return tiles;
}

uint32_t BoxBytes(const TileMap& map) {
  auto bytes = static_cast<uint32_t>(map.stride_bytes[0]);
  for (uint32_t i = 0; i < map.rank; ++i) bytes *= map.box[i];
  return bytes;
}

namespace {

// Goes through the box's lines of contiguous elements: visit(place in the tile, first byte in the tensor or null, bytes in front of
// the tensor's begin, bytes inside).
template <class Visit>
void ForLines(const TileMap& map, const int32_t (&begin)[5], const Visit& visit) {
  const auto element = static_cast<int64_t>(map.stride_bytes[0]);
  const int64_t front = begin[0] < 0 ? -static_cast<int64_t>(begin[0]) : 0;
  const int64_t end = static_cast<int64_t>(map.last_index[0]) + 1 - begin[0];
  const int64_t stop = end < map.box[0] ? end : map.box[0];
  uint32_t lines = 1;
  for (uint32_t i = 1; i < map.rank; ++i) lines *= map.box[i];
  for (uint32_t line = 0; line < lines; ++line) {
    uint32_t rest = line;
    bool inside = front < stop;
    int64_t offset = (begin[0] + front) * element;
    for (uint32_t i = 1; i < map.rank; ++i) {
      const int64_t at = static_cast<int64_t>(begin[i]) + rest % map.box[i];
      rest /= map.box[i];
      inside = inside && at >= 0 && at <= map.last_index[i];
      offset += at * static_cast<int64_t>(map.stride_bytes[i]);
    }
    const auto place = static_cast<uint64_t>(line) * map.box[0] * static_cast<uint64_t>(element);
    const int64_t bytes = inside ? (stop - front) * element : 0;
    visit(place, inside ? map.data + offset : nullptr, static_cast<uint32_t>(front * element), static_cast<uint32_t>(bytes));
  }
}

// Where the tile has its byte `place`; 16 bytes stay together.
unsigned char* AtPlace(const unsigned char* tile, uint64_t place, uint32_t swizzle_bytes) {
  return reinterpret_cast<unsigned char*>(Swizzled(reinterpret_cast<uint64_t>(tile) + place, swizzle_bytes));
}

}  // namespace

void CopyBoxIn(const TileMap& map, const int32_t (&begin)[5], unsigned char* tile) {
  const uint32_t line_bytes = map.box[0] * static_cast<uint32_t>(map.stride_bytes[0]);
  ForLines(map, begin, [&](uint64_t place, const unsigned char* data, uint32_t front, uint32_t inside) {
    unsigned char line[256 * 4] = {};
    if (inside != 0) memcpy(line + front, data, inside);
    for (uint32_t i = 0; i < line_bytes; i += 16) memcpy(AtPlace(tile, place + i, map.swizzle_bytes), line + i, 16);
  });
}

void CopyBoxOut(const TileMap& map, const int32_t (&begin)[5], const unsigned char* tile) {
  const uint32_t line_bytes = map.box[0] * static_cast<uint32_t>(map.stride_bytes[0]);
  ForLines(map, begin, [&](uint64_t place, unsigned char* data, uint32_t front, uint32_t inside) {
    unsigned char line[256 * 4];
    for (uint32_t i = 0; i < line_bytes; i += 16) memcpy(line + i, AtPlace(tile, place + i, map.swizzle_bytes), 16);
    if (inside != 0) memcpy(data, line + front, inside);
  });
}

}  // namespace emulation
}  // namespace lanes::cuda
