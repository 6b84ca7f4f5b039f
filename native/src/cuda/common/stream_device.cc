#include "cuda/common/stream_device.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "core/runtime.h"
#include "cuda/common/probe.h"
#include "cuda/common/trap.h"

namespace lanes::cuda {
namespace {

// What a kernel may have without asking.
constexpr uint32_t kSharedBytes = 48 << 10;
constexpr uint32_t kClusterBlocks = 8;
// From here on DependencyWait is an instruction.
constexpr int kLeastWaiting = 90;

// Sizes of staged arrays are rounded up to one of four steps in each power of two, so that arrays that grow seldom move those behind
// them: a list whose addresses have moved is another list.
int64_t StagedSize(int64_t bytes) {
  int64_t step = 256;
  while (step * 8 < bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

}  // namespace

Device& DeviceOf(OpContext& context) { return static_cast<StreamDevice&>(*context.device()); }

OwnedStream::OwnedStream(int32_t index, Health& health) : index_(index) {
  const UseDevice use(index_);
  try {
    health.Check(cudaStreamCreateWithFlags(&stream_.handle, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    for (cudaEvent_t& event : copied_) health.Check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  } catch (...) {
    Destroy();
    throw;
  }
}

OwnedStream::~OwnedStream() {
  const UseDevice use(index_);
  Destroy();
}

void OwnedStream::Destroy() {
  for (const cudaEvent_t event : copied_) {
    if (event != nullptr) cudaEventDestroy(event);
  }
  if (stream_.handle != nullptr) cudaStreamDestroy(stream_.handle);
}

StreamDevice::StreamDevice(int32_t index)
    : index_(index),
      owned_(index, health_),
      memory_(index, owned_.stream(), health_),
      staging_(memory_, OwnedStream::kSlots),
      returning_(memory_, 1),
      scratch_(memory_, 0),
      graphs_(health_) {
  const UseDevice use(index_);
  cudaDeviceProp properties;
  health_.Check(cudaGetDeviceProperties(&properties, index_), "cudaGetDeviceProperties");
  snprintf(name_, sizeof name_, "%.127s", properties.name);
  limits_.major = properties.major;
  limits_.minor = properties.minor;
  limits_.multiprocessors = properties.multiProcessorCount;
  limits_.shared_bytes = static_cast<int32_t>(properties.sharedMemPerBlockOptin);
  limits_.l2_bytes = properties.l2CacheSize;
  limits_.hopper = properties.major == 9 && properties.minor == 0;
  overlap_ = properties.major >= 9;
  if (!limits_.hopper) return;
  Begin(nullptr);
  try {
    const HopperBits bits = ProbeHopperBits(*this);
    limits_.hopper_bits = bits.bf16;
    limits_.hopper_f16_bits = bits.f16;
  } catch (...) {
    Abandon();
    throw;
  }
  Abandon();
}

StreamDevice::~StreamDevice() {
  const UseDevice use(index_);
  cudaStreamSynchronize(owned_.stream().handle);
  graphs_.Clear(nullptr);
  for (const cudaEvent_t event : events_) cudaEventDestroy(event);
}

void StreamDevice::Describe(lanes_runtime_info* info) const {
  info->device = LANES_DEVICE_CUDA;
  info->device_index = index_;
  snprintf(info->kernels, sizeof info->kernels, "%s", limits_.hopper ? "sm_90a" : "portable");
  memcpy(info->device_name, name_, sizeof name_);
}

// ---- Copies ------------------------------------------------------------------------------------------------------

void StreamDevice::Copy(const CopyRows& rows, cudaMemcpyKind kind) {
  health_.CheckAlive();
  if (rows.rows == 0 || rows.row_bytes == 0) return;
  const UseDevice use(index_);
  const std::lock_guard<std::mutex> lock(owned_.stream().mutex);
  const cudaStream_t stream = owned_.stream().handle;
  const size_t width = static_cast<size_t>(rows.row_bytes), height = static_cast<size_t>(rows.rows);
  const bool dense = rows.rows == 1 || (rows.to_stride == rows.row_bytes && rows.from_stride == rows.row_bytes);
  if (dense) {
    health_.Check(cudaMemcpyAsync(rows.to, rows.from, width * height, kind, stream), "cudaMemcpyAsync");
  } else {
    health_.Check(cudaMemcpy2DAsync(rows.to, static_cast<size_t>(rows.to_stride), rows.from, static_cast<size_t>(rows.from_stride), width,
                                    height, kind, stream),
                  "cudaMemcpy2DAsync");
  }
  health_.Check(cudaStreamSynchronize(stream), "a copy");
}

void StreamDevice::FillNow(void* memory, int byte, int64_t bytes) {
  health_.CheckAlive();
  const UseDevice use(index_);
  const std::lock_guard<std::mutex> lock(owned_.stream().mutex);
  health_.Check(cudaMemsetAsync(memory, byte, static_cast<size_t>(bytes), owned_.stream().handle), "cudaMemsetAsync");
  health_.Check(cudaStreamSynchronize(owned_.stream().handle), "a fill");
}

void StreamDevice::Synchronize() {
  health_.CheckAlive();
  const UseDevice use(index_);
  const std::lock_guard<std::mutex> lock(owned_.stream().mutex);
  health_.Check(cudaStreamSynchronize(owned_.stream().handle), "cudaStreamSynchronize");
}

// ---- What ops list -----------------------------------------------------------------------------------------------

void StreamDevice::Begin(lanes_op_profile* profiles) {
  turn_.lock();
  if (health_.failed()) {
    turn_.unlock();
    health_.CheckAlive();
  }
  profiles_ = profiles;
}

void StreamDevice::BeginOp(int32_t op) {
  scratch_.Rewind();
  ops_.push_back({op, list_.size(), returned_.size()});
}

void StreamDevice::AbandonOp() noexcept {
  list_.Truncate(ops_.back().launches);
  returned_.resize(ops_.back().returns);
  ops_.pop_back();
}

const void* StreamDevice::StageBytes(const void* host, int64_t bytes) {
  // Layers bring the same positions and page tables over and over. An address alone says nothing: launchers stage what they have
  // put together on their stack.
  for (const Staged& earlier : staged_) {
    if (earlier.from == host && earlier.bytes == bytes && bytes > 0 && memcmp(HostOf(staging_, earlier.piece, slot_), host, bytes) == 0) {
      return earlier.piece.device;
    }
  }
  if (staged_.empty()) {
    slot_ = (slot_ + 1) % OwnedStream::kSlots;
    const UseDevice use(index_);
    health_.Check(cudaEventSynchronize(owned_.copied(slot_)), "cudaEventSynchronize");
  }
  const Arena::Piece piece = staging_.Take(StagedSize(bytes));
  if (bytes > 0) memcpy(HostOf(staging_, piece, slot_), host, static_cast<size_t>(bytes));
  staged_.push_back({host, bytes, piece});
  return piece.device;
}

void* StreamDevice::ReturnBytes(void* host, int64_t bytes) {
  const Arena::Piece piece = returning_.Take(StagedSize(bytes));
  returned_.push_back({host, bytes, piece});
  return piece.device;
}

void StreamDevice::Append(const KernelRef& kernel, const LaunchConfig& config, const void* args, size_t bytes) {
  const UseDevice use(index_);
  auto known = allowed_.find(kernel.function);
  if (known == allowed_.end()) {
    // A GPU that is newer than all of this build runs what the driver makes of PTX for the oldest one, which does not wait.
    cudaFuncAttributes attributes;
    health_.Check(cudaFuncGetAttributes(&attributes, kernel.function), "cudaFuncGetAttributes");
    if (attributes.ptxVersion < kLeastWaiting) overlap_ = false;
    known = allowed_.emplace(kernel.function, LaunchConfig()).first;
  }
  LaunchConfig& allowed = known->second;
  if (config.shared_bytes > kSharedBytes && config.shared_bytes > allowed.shared_bytes) {
    health_.Check(cudaFuncSetAttribute(kernel.function, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(config.shared_bytes)),
                  "shared memory of a kernel");
    allowed.shared_bytes = config.shared_bytes;
  }
  if (config.cluster > kClusterBlocks && config.cluster > allowed.cluster) {
    health_.Check(cudaFuncSetAttribute(kernel.function, cudaFuncAttributeNonPortableClusterSizeAllowed, 1), "clusters of a kernel");
    allowed.cluster = config.cluster;
  }
  list_.AddLaunch(kernel, config, args, bytes);
}

// ---- Running the list --------------------------------------------------------------------------------------------

void StreamDevice::Submit() {
  const int32_t op = ops_.empty() ? -1 : ops_.back().op;
  RunList(true);
  scratch_.Rewind();
  if (op >= 0) ops_.push_back({op, 0, 0});
}

void StreamDevice::End(bool wait) {
  const std::lock_guard<std::mutex> turn(turn_, std::adopt_lock);
  RunList(wait);
}

void StreamDevice::Abandon() noexcept {
  Reset();
  turn_.unlock();
}

void StreamDevice::Reset() noexcept {
  list_.Truncate(0);
  ops_.clear();
  staged_.clear();
  returned_.clear();
  staging_.Rewind();
  returning_.Rewind();
}

void StreamDevice::RunList(bool wait) {
  struct ResetAtEnd {
    StreamDevice& device;
    ~ResetAtEnd() { device.Reset(); }
  } const reset = {*this};
  const UseDevice use(index_);
  const std::lock_guard<std::mutex> lock(owned_.stream().mutex);
  const cudaStream_t stream = owned_.stream().handle;
  if (list_.size() > 0) {
    CopyStaged(stream);
    if (profiles_ != nullptr) {
      RunTimed(stream);
    } else {
      graphs_.Run(list_, memory_.epoch(), overlap_, stream);
    }
    CopyReturned(stream);
  }
  if (!wait && profiles_ == nullptr && returned_.empty()) return;
  health_.Check(cudaStreamSynchronize(stream), "a list of kernels");
  for (const Returned& result : returned_) {
    if (result.bytes > 0) memcpy(result.to, HostOf(returning_, result.piece, 0), static_cast<size_t>(result.bytes));
  }
  if (profiles_ != nullptr && list_.size() > 0) AddTimes();
}

void StreamDevice::CopyStaged(cudaStream_t stream) {
  if (staged_.empty()) return;
  for (const Arena::Block& block : staging_.blocks()) {
    if (block.used == 0) continue;
    health_.Check(cudaMemcpyAsync(block.device, block.host[slot_], static_cast<size_t>(block.used), cudaMemcpyHostToDevice, stream),
                  "cudaMemcpyAsync");
  }
  health_.Check(cudaEventRecord(owned_.copied(slot_), stream), "cudaEventRecord");
}

void StreamDevice::CopyReturned(cudaStream_t stream) {
  if (returned_.empty()) return;
  for (const Arena::Block& block : returning_.blocks()) {
    if (block.used == 0) continue;
    health_.Check(cudaMemcpyAsync(block.host[0], block.device, static_cast<size_t>(block.used), cudaMemcpyDeviceToHost, stream),
                  "cudaMemcpyAsync");
  }
}

void StreamDevice::RunTimed(cudaStream_t stream) {
  while (events_.size() < ops_.size() + 1) {
    cudaEvent_t event = nullptr;
    health_.Check(cudaEventCreate(&event), "cudaEventCreate");
    events_.push_back(event);
  }
  for (size_t i = 0; i < ops_.size(); ++i) {
    health_.Check(cudaEventRecord(events_[i], stream), "cudaEventRecord");
    const size_t end = i + 1 < ops_.size() ? ops_[i + 1].launches : list_.size();
    health_.Check(list_.Run(ops_[i].launches, end, overlap_, stream), "launch of a kernel");
  }
  health_.Check(cudaEventRecord(events_[ops_.size()], stream), "cudaEventRecord");
}

void StreamDevice::AddTimes() {
  for (size_t i = 0; i < ops_.size(); ++i) {
    float milliseconds = 0;
    health_.Check(cudaEventElapsedTime(&milliseconds, events_[i], events_[i + 1]), "cudaEventElapsedTime");
    profiles_[ops_[i].op].nanos += static_cast<uint64_t>(static_cast<double>(milliseconds) * 1e6);
  }
}

void StreamDevice::Fail() {
  Begin(nullptr);
  try {
    AppendTrap(*this);
  } catch (...) {
    Abandon();
    throw;
  }
  try {
    End(true);
  } catch (const Error& error) {
    if (error.status() != LANES_ERROR_DEVICE) throw;
    return;
  }
  ThrowInternal("the device goes on after a trap");
}

}  // namespace lanes::cuda
