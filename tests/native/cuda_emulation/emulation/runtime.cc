// Streams, events, graphs, copies and launches. What is put on a stream runs when the host waits for it, and not before: a host buffer
// that is used again too early shows. Streams do not wait for each other unless an event or the default stream says so.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "cuda/common/launch.h"
#include "emulation/control.h"
#include "emulation/kernel.h"
#include "emulation/memory.h"
#include "emulation/runtime_api.h"

namespace {

using lanes::cuda::KernelRef;
using lanes::cuda::LaunchConfig;
using lanes::cuda::emulation::Allocation;
using lanes::cuda::emulation::Find;

enum class Kind { kKernel, kCopy, kFill, kHost, kEvent, kWait, kGraph };
struct Operation {
  Kind kind;
  std::function<void()> run;
};

}  // namespace

struct CUgraph_st {
  std::vector<Operation> operations;
};
struct CUgraphExec_st {
  std::vector<Operation> operations;
};
struct CUstream_st {
  std::deque<Operation> queue;
  uint64_t enqueued = 0;
  uint64_t done = 0;
  CUgraph_st* capture = nullptr;
  bool invalidated = false;
  bool blocking = true;  // waits for the default stream, and it for this one
};
struct CUevent_st {
  CUstream_st* stream = nullptr;
  uint64_t ticket = 0;  // done when the stream has done so many
  bool timing = true;
  std::chrono::steady_clock::time_point time;
};

namespace {

struct Runtime {
  std::recursive_mutex mutex;
  CUstream_st legacy;
  std::vector<CUstream_st*> streams = {&legacy};
  cudaError_t sticky = cudaSuccess;
  cudaError_t last = cudaSuccess;
  int arch = 90;
  int ptx = 0;
  int devices = 1;
  std::vector<bool> contexts = std::vector<bool>(1);
  int64_t kernels = 0, graphs = 0;
  int64_t fail_at = 0;  // the number of the kernel that fails
  struct Function {
    int shared_bytes = 48 << 10;
    bool large_clusters = false;
  };
  std::map<const void*, Function> functions;

  Runtime() {
    if (const char* text = getenv("LANES_EMULATE_ARCH")) arch = atoi(text);
    if (const char* text = getenv("LANES_EMULATE_FAIL_LAUNCH")) fail_at = atoll(text);
    if (const char* text = getenv("LANES_EMULATE_SCHEDULE")) {
      using lanes::cuda::emulation::Schedule;
      const std::string word = text;
      const uint64_t seed = word.rfind("random:", 0) == 0 ? strtoull(text + 7, nullptr, 10) : 1;
      lanes::cuda::emulation::SetSchedule(
          word == "backward" ? Schedule::kBackward : word.rfind("random", 0) == 0 ? Schedule::kRandom : Schedule::kForward, seed);
    }
  }
};

Runtime& runtime() {
  static Runtime& r = *new Runtime;
  return r;
}

struct Locked {
  Runtime& r = runtime();
  std::lock_guard<std::recursive_mutex> lock{r.mutex};

  // What a call answers: a sticky error of the past, or its own, which cudaGetLastError gives too.
  cudaError_t Answer(cudaError_t error) {
    if (r.sticky != cudaSuccess) error = r.sticky;
    if (error != cudaSuccess && error != cudaErrorNotReady) r.last = error;
    return error;
  }
  bool Dead() const { return r.sticky != cudaSuccess; }
};

CUstream_st* StreamOf(cudaStream_t stream) { return stream == nullptr ? &runtime().legacy : stream; }
bool Known(const CUstream_st* stream) {
  const auto& streams = runtime().streams;
  return std::find(streams.begin(), streams.end(), stream) != streams.end();
}

void RunOne(CUstream_st& stream) {
  const lanes::cuda::emulation::DeviceAccess access;
  const Operation operation = std::move(stream.queue.front());
  stream.queue.pop_front();
  if (runtime().sticky == cudaSuccess) operation.run();
  ++stream.done;
}
void RunUntil(CUstream_st& stream, uint64_t ticket) {
  if (stream.done >= ticket || stream.queue.empty()) return;
  const lanes::cuda::emulation::DeviceAccess access;
  while (stream.done < ticket && !stream.queue.empty()) RunOne(stream);
}
void RunAll(CUstream_st& stream) { RunUntil(stream, stream.enqueued); }
void RunEverything() {
  for (size_t i = 0; i < runtime().streams.size(); ++i) RunAll(*runtime().streams[i]);
}

cudaError_t Enqueue(CUstream_st& stream, Operation operation) {
  if (stream.capture != nullptr) {
    stream.capture->operations.push_back(std::move(operation));
    return cudaSuccess;
  }
  // The default stream runs after everything that other streams hold now, and they after it.
  Runtime& r = runtime();
  if (stream.blocking) {
    for (CUstream_st* other : r.streams) {
      if (other == &stream || !other->blocking || (&stream != &r.legacy && other != &r.legacy) || other->done == other->enqueued) continue;
      const uint64_t ticket = other->enqueued;
      stream.queue.push_back({Kind::kWait, [other, ticket] { if (Known(other)) RunUntil(*other, ticket); }});
      ++stream.enqueued;
    }
  }
  stream.queue.push_back(std::move(operation));
  ++stream.enqueued;
  return cudaSuccess;
}

// A launch's own copy of the arguments, aligned for what they may hold (tensor maps).
struct alignas(128) Args {
  unsigned char bytes[4096];
};

void RunLaunch(const KernelRef& kernel, const LaunchConfig& config, const Args& args, bool overlap) {
  Runtime& r = runtime();
  ++r.kernels;
  if (r.fail_at != 0 && r.kernels == r.fail_at) {
    r.sticky = cudaErrorIllegalAddress;
    return;
  }
  if (!lanes::cuda::emulation::RunKernel(kernel, config, args.bytes, overlap)) r.sticky = cudaErrorLaunchFailure;
}

int PtxOf(const Runtime& r) { return r.ptx != 0 ? r.ptx : r.arch; }

// The calling thread's, of which every call that does something makes a context.
thread_local int current_device = 0;
void UseContext() { runtime().contexts[static_cast<size_t>(current_device)] = true; }

int SharedLimit() { return runtime().arch >= 90 ? 227 << 10 : 163 << 10; }

cudaError_t CheckLaunch(const KernelRef& kernel, const LaunchConfig& c) {
  Runtime& r = runtime();
  if (kernel.function == nullptr) return cudaErrorInvalidDeviceFunction;
  const uint64_t threads = static_cast<uint64_t>(c.block.x) * c.block.y * c.block.z;
  if (threads == 0 || threads > 1024 || c.block.x > 1024 || c.block.y > 1024 || c.block.z > 64) return cudaErrorInvalidConfiguration;
  if (c.grid.x == 0 || c.grid.y == 0 || c.grid.z == 0) return cudaErrorInvalidConfiguration;
  if (c.grid.x > 2147483647u || c.grid.y > 65535 || c.grid.z > 65535) return cudaErrorInvalidConfiguration;
  const Runtime::Function& function = r.functions[kernel.function];
  if (c.shared_bytes > static_cast<uint32_t>(function.shared_bytes)) return cudaErrorInvalidValue;
  if (c.cluster == 0 || c.grid.x % c.cluster != 0) return cudaErrorInvalidConfiguration;
  if (c.cluster > 1 && r.arch < 90) return cudaErrorInvalidConfiguration;
  if (c.cluster > (function.large_clusters ? 16u : 8u)) return cudaErrorInvalidConfiguration;
  return cudaSuccess;
}

// True where the copy engine reads and writes by itself, later; pageable memory is staged or waited for.
bool Asynchronous(const void* memory) { return Find(memory, nullptr) != nullptr; }

// A copy of `height` rows; one row is a plain copy.
cudaError_t Copy(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width, size_t height, cudaStream_t on, bool wait) {
  Locked l;
  CUstream_st* stream = StreamOf(on);
  if (l.Dead()) return l.Answer(cudaSuccess);
  if (!Known(stream)) return l.Answer(cudaErrorInvalidResourceHandle);
  if (width == 0 || height == 0) return cudaSuccess;
  if (to == nullptr || from == nullptr || (height > 1 && (to_pitch < width || from_pitch < width))) return l.Answer(cudaErrorInvalidValue);
  if (stream->capture != nullptr && wait) return l.Answer(cudaErrorStreamCaptureUnsupported);
  auto rows = [=](const unsigned char* source, size_t source_pitch) {
    for (size_t i = 0; i < height; ++i) memcpy(static_cast<unsigned char*>(to) + i * to_pitch, source + i * source_pitch, width);
  };
  const bool staged = !wait && stream->capture == nullptr && !Asynchronous(from);
  if (staged) {
    std::vector<unsigned char> bytes(width * height);
    for (size_t i = 0; i < height; ++i) memcpy(&bytes[i * width], static_cast<const unsigned char*>(from) + i * from_pitch, width);
    Enqueue(*stream, {Kind::kCopy, [rows, width, bytes = std::move(bytes)] { rows(bytes.data(), width); }});
  } else {
    Enqueue(*stream, {Kind::kCopy, [rows, from, from_pitch] { rows(static_cast<const unsigned char*>(from), from_pitch); }});
  }
  if (wait || (stream->capture == nullptr && !Asynchronous(to))) RunAll(*stream);
  return l.Answer(cudaSuccess);
}

cudaError_t Fill(void* memory, size_t pitch, int value, size_t width, size_t height, cudaStream_t on, bool wait) {
  Locked l;
  CUstream_st* stream = StreamOf(on);
  if (l.Dead()) return l.Answer(cudaSuccess);
  if (!Known(stream)) return l.Answer(cudaErrorInvalidResourceHandle);
  if (width == 0 || height == 0) return cudaSuccess;
  if (!Asynchronous(memory) || (height > 1 && pitch < width)) return l.Answer(cudaErrorInvalidValue);
  Enqueue(*stream, {Kind::kFill, [=] {
                      for (size_t i = 0; i < height; ++i) memset(static_cast<unsigned char*>(memory) + i * pitch, value, width);
                    }});
  if (wait) RunAll(*stream);
  return l.Answer(cudaSuccess);
}

}  // namespace

namespace lanes::cuda {

cudaError_t LaunchKernel(const KernelRef& kernel, const LaunchConfig& config, const void* args, bool overlap, cudaStream_t on) {
  Locked l;
  UseContext();
  CUstream_st* stream = StreamOf(on);
  if (l.Dead()) return l.Answer(cudaSuccess);
  if (!Known(stream)) return l.Answer(cudaErrorInvalidResourceHandle);
  // Kernels without griddepcontrol.wait would run side by side.
  if (overlap && PtxOf(l.r) < 90) return l.Answer(cudaErrorNotSupported);
  if (const cudaError_t error = CheckLaunch(kernel, config); error != cudaSuccess) return l.Answer(error);
  if (kernel.bytes > sizeof(Args)) return l.Answer(cudaErrorInvalidValue);
  const auto copy = std::make_shared<Args>();
  memcpy(copy->bytes, args, kernel.bytes);
  return l.Answer(Enqueue(*stream, {Kind::kKernel, [kernel, config, copy, overlap] { RunLaunch(kernel, config, *copy, overlap); }}));
}

namespace emulation {

void SetArch(int arch) { runtime().arch = arch; }
void SetPtx(int arch) { runtime().ptx = arch; }
void SetDevices(int count) {
  runtime().devices = count;
  runtime().contexts.assign(static_cast<size_t>(count), false);
}
bool HasContext(int device) { return runtime().contexts[static_cast<size_t>(device)]; }
void FailLaunch(int64_t n) {
  Locked l;
  l.r.fail_at = n == 0 ? 0 : l.r.kernels + n;
}
void Reset() {
  Locked l;
  for (CUstream_st* stream : l.r.streams) {
    stream->queue.clear();
    stream->done = stream->enqueued;
  }
  l.r.sticky = l.r.last = cudaSuccess;
}
int64_t KernelsRun() { return runtime().kernels; }
int64_t GraphsRun() { return runtime().graphs; }

}  // namespace emulation
}  // namespace lanes::cuda

// ---- Errors ------------------------------------------------------------------------------------------------------

#define LANES_ERRORS(E)                                                                          \
  E(cudaSuccess, "no error")                                                                     \
  E(cudaErrorInvalidValue, "invalid argument")                                                   \
  E(cudaErrorMemoryAllocation, "out of memory")                                                  \
  E(cudaErrorInitializationError, "initialization error")                                        \
  E(cudaErrorInvalidConfiguration, "invalid configuration argument")                             \
  E(cudaErrorInvalidDeviceFunction, "invalid device function")                                   \
  E(cudaErrorNoDevice, "no CUDA-capable device is detected")                                     \
  E(cudaErrorInvalidDevice, "invalid device ordinal")                                            \
  E(cudaErrorInvalidResourceHandle, "invalid resource handle")                                   \
  E(cudaErrorSymbolNotFound, "named symbol not found")                                           \
  E(cudaErrorNotReady, "device not ready")                                                       \
  E(cudaErrorIllegalAddress, "an illegal memory access was encountered")                         \
  E(cudaErrorLaunchFailure, "unspecified launch failure")                                        \
  E(cudaErrorNotSupported, "operation not supported")                                            \
  E(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing")       \
  E(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture") \
  E(cudaErrorGraphExecUpdateFailure, "the graph update was not performed because it included changes which violated constraints")

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
#define LANES_NAME(name, text) case name: return #name;
    LANES_ERRORS(LANES_NAME)
#undef LANES_NAME
    default: return "unrecognized error code";
  }
}
const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
#define LANES_TEXT(name, text) case name: return text;
    LANES_ERRORS(LANES_TEXT)
#undef LANES_TEXT
    default: return "unrecognized error code";
  }
}
cudaError_t cudaGetLastError() {
  Locked l;
  if (l.Dead()) return l.r.sticky;
  return std::exchange(l.r.last, cudaSuccess);
}
cudaError_t cudaPeekAtLastError() {
  Locked l;
  return l.Dead() ? l.r.sticky : l.r.last;
}

// ---- The device --------------------------------------------------------------------------------------------------

cudaError_t cudaGetDeviceCount(int* count) {
  *count = runtime().devices;
  return Locked().Answer(cudaSuccess);
}
cudaError_t cudaGetDevice(int* device) {
  *device = current_device;
  return Locked().Answer(cudaSuccess);
}
cudaError_t cudaSetDevice(int device) {
  Locked l;
  if (device < 0 || device >= l.r.devices) return l.Answer(cudaErrorInvalidDevice);
  current_device = device;
  UseContext();
  return l.Answer(cudaSuccess);
}
cudaError_t cudaSetDeviceFlags(unsigned) { return Locked().Answer(cudaSuccess); }

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  Locked l;
  if (device < 0 || device >= l.r.devices) return l.Answer(cudaErrorInvalidDevice);
  cudaDeviceProp p = {};
  snprintf(p.name, sizeof p.name, "Emulated sm_%d", l.r.arch);
  memcpy(p.uuid.bytes, "lanes emulation", 16);
  p.totalGlobalMem = lanes::cuda::emulation::DeviceLimit();
  p.sharedMemPerBlock = 48 << 10;
  p.regsPerBlock = p.regsPerMultiprocessor = 65536;
  p.warpSize = 32;
  p.maxThreadsPerBlock = 1024;
  p.maxThreadsDim[0] = p.maxThreadsDim[1] = 1024;
  p.maxThreadsDim[2] = 64;
  p.maxGridSize[0] = 2147483647;
  p.maxGridSize[1] = p.maxGridSize[2] = 65535;
  p.totalConstMem = 65536;
  p.major = l.r.arch / 10;
  p.minor = l.r.arch % 10;
  p.multiProcessorCount = 4;  // few, so that persistent kernels have several tiles for each block
  p.canMapHostMemory = p.unifiedAddressing = p.concurrentKernels = p.asyncEngineCount = 1;
  p.l2CacheSize = 40 << 20;
  p.maxThreadsPerMultiProcessor = 2048;
  p.sharedMemPerBlockOptin = static_cast<size_t>(SharedLimit());
  p.sharedMemPerMultiprocessor = p.sharedMemPerBlockOptin + 1024;
  p.reservedSharedMemPerBlock = 1024;
  p.clusterLaunch = l.r.arch >= 90;
  *properties = p;
  return l.Answer(cudaSuccess);
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  Locked l;
  cudaDeviceProp p;
  if (const cudaError_t error = cudaGetDeviceProperties(&p, device); error != cudaSuccess) return error;
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock: *value = p.maxThreadsPerBlock; break;
    case cudaDevAttrMaxGridDimX: *value = p.maxGridSize[0]; break;
    case cudaDevAttrMaxGridDimY: *value = p.maxGridSize[1]; break;
    case cudaDevAttrMaxGridDimZ: *value = p.maxGridSize[2]; break;
    case cudaDevAttrMaxSharedMemoryPerBlock: *value = static_cast<int>(p.sharedMemPerBlock); break;
    case cudaDevAttrWarpSize: *value = p.warpSize; break;
    case cudaDevAttrClockRate: *value = 1000000; break;
    case cudaDevAttrMultiProcessorCount: *value = p.multiProcessorCount; break;
    case cudaDevAttrComputeMode: *value = 0; break;
    case cudaDevAttrMemoryClockRate: *value = 1000000; break;
    case cudaDevAttrGlobalMemoryBusWidth: *value = 4096; break;
    case cudaDevAttrL2CacheSize: *value = p.l2CacheSize; break;
    case cudaDevAttrMaxThreadsPerMultiProcessor: *value = p.maxThreadsPerMultiProcessor; break;
    case cudaDevAttrUnifiedAddressing: *value = 1; break;
    case cudaDevAttrComputeCapabilityMajor: *value = p.major; break;
    case cudaDevAttrComputeCapabilityMinor: *value = p.minor; break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = static_cast<int>(p.sharedMemPerMultiprocessor); break;
    case cudaDevAttrCanUseHostPointerForRegisteredMem: *value = 1; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = static_cast<int>(p.sharedMemPerBlockOptin); break;
    case cudaDevAttrMaxPersistingL2CacheSize: *value = 0; break;
    case cudaDevAttrReservedSharedMemoryPerBlock: *value = static_cast<int>(p.reservedSharedMemPerBlock); break;
    case cudaDevAttrMemoryPoolsSupported: *value = 0; break;
    case cudaDevAttrClusterLaunch: *value = p.clusterLaunch; break;
    default: return l.Answer(cudaErrorInvalidValue);
  }
  return l.Answer(cudaSuccess);
}

cudaError_t cudaDeviceSynchronize() {
  Locked l;
  RunEverything();
  return l.Answer(cudaSuccess);
}
cudaError_t cudaDeviceReset() {
  RunEverything();
  lanes::cuda::emulation::Reset();
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total) {
  Locked l;
  UseContext();
  *total = lanes::cuda::emulation::DeviceLimit();
  *free_bytes = *total - std::min(*total, lanes::cuda::emulation::DeviceBytes());
  return l.Answer(cudaSuccess);
}

// ---- Streams and events ------------------------------------------------------------------------------------------

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  Locked l;
  UseContext();
  if (l.Dead()) return l.Answer(cudaSuccess);
  *stream = new CUstream_st;
  (*stream)->blocking = (flags & cudaStreamNonBlocking) == 0;
  l.r.streams.push_back(*stream);
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, cudaStreamDefault); }
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) { return cudaStreamCreateWithFlags(stream, flags); }
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = *greatest = 0;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  Locked l;
  if (stream == nullptr || !Known(stream)) return l.Answer(cudaErrorInvalidResourceHandle);
  RunAll(*stream);
  std::erase(l.r.streams, stream);
  delete stream;
  return l.Answer(cudaSuccess);
}
cudaError_t cudaStreamSynchronize(cudaStream_t on) {
  Locked l;
  UseContext();
  CUstream_st* stream = StreamOf(on);
  if (!Known(stream)) return l.Answer(cudaErrorInvalidResourceHandle);
  if (stream->capture != nullptr) {
    stream->invalidated = true;
    return l.Answer(cudaErrorStreamCaptureUnsupported);
  }
  RunAll(*stream);
  return l.Answer(cudaSuccess);
}
cudaError_t cudaStreamQuery(cudaStream_t on) {
  Locked l;
  CUstream_st* stream = StreamOf(on);
  if (!Known(stream)) return l.Answer(cudaErrorInvalidResourceHandle);
  if (stream->queue.empty()) return l.Answer(cudaSuccess);
  RunOne(*stream);  // time passes
  return l.Answer(cudaErrorNotReady);
}
cudaError_t cudaStreamWaitEvent(cudaStream_t on, cudaEvent_t event, unsigned) {
  Locked l;
  CUstream_st* stream = StreamOf(on);
  if (!Known(stream) || event == nullptr) return l.Answer(cudaErrorInvalidResourceHandle);
  if (stream->capture != nullptr) return l.Answer(cudaErrorStreamCaptureUnsupported);
  if (event->stream == nullptr) return l.Answer(cudaSuccess);
  CUstream_st* other = event->stream;
  const uint64_t ticket = event->ticket;
  Enqueue(*stream, {Kind::kWait, [other, ticket] { if (Known(other)) RunUntil(*other, ticket); }});
  return l.Answer(cudaSuccess);
}
cudaError_t cudaLaunchHostFunc(cudaStream_t on, cudaHostFn_t function, void* data) {
  Locked l;
  CUstream_st* stream = StreamOf(on);
  if (!Known(stream)) return l.Answer(cudaErrorInvalidResourceHandle);
  return l.Answer(Enqueue(*stream, {Kind::kHost, [function, data] { function(data); }}));
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  Locked l;
  UseContext();
  if (l.Dead()) return l.Answer(cudaSuccess);
  *event = new CUevent_st;
  (*event)->timing = (flags & cudaEventDisableTiming) == 0;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  Locked l;
  if (event == nullptr) return l.Answer(cudaErrorInvalidResourceHandle);
  if (event->stream != nullptr && Known(event->stream)) RunUntil(*event->stream, event->ticket);
  delete event;
  return l.Answer(cudaSuccess);
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t on) {
  Locked l;
  UseContext();
  CUstream_st* stream = StreamOf(on);
  if (event == nullptr || !Known(stream)) return l.Answer(cudaErrorInvalidResourceHandle);
  if (stream->capture != nullptr) return l.Answer(cudaErrorStreamCaptureUnsupported);
  Enqueue(*stream, {Kind::kEvent, [event] { event->time = std::chrono::steady_clock::now(); }});
  event->stream = stream;
  event->ticket = stream->enqueued;
  return l.Answer(cudaSuccess);
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  Locked l;
  if (event == nullptr) return l.Answer(cudaErrorInvalidResourceHandle);
  if (event->stream != nullptr && Known(event->stream)) RunUntil(*event->stream, event->ticket);
  return l.Answer(cudaSuccess);
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  Locked l;
  if (event == nullptr) return l.Answer(cudaErrorInvalidResourceHandle);
  if (event->stream == nullptr || !Known(event->stream) || event->stream->done >= event->ticket) return l.Answer(cudaSuccess);
  RunOne(*event->stream);  // time passes
  return l.Answer(cudaErrorNotReady);
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  Locked l;
  if (start == nullptr || end == nullptr || !start->timing || !end->timing) return l.Answer(cudaErrorInvalidResourceHandle);
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
  return l.Answer(cudaSuccess);
}

// ---- Graphs: what a stream is given between the beginning and the end of its capture ------------------------------

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  Locked l;
  if (l.Dead()) return l.Answer(cudaSuccess);
  if (stream == nullptr || !Known(stream) || stream->capture != nullptr) return l.Answer(cudaErrorStreamCaptureUnsupported);
  stream->capture = new CUgraph_st;
  stream->invalidated = false;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  Locked l;
  if (stream == nullptr || !Known(stream) || stream->capture == nullptr) return l.Answer(cudaErrorInvalidValue);
  *graph = std::exchange(stream->capture, nullptr);
  if (!stream->invalidated && !l.Dead()) return cudaSuccess;
  delete *graph;
  *graph = nullptr;
  return l.Answer(cudaErrorStreamCaptureInvalidated);
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  Locked l;
  if (!Known(StreamOf(stream))) return l.Answer(cudaErrorInvalidResourceHandle);
  *status = StreamOf(stream)->capture != nullptr ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return l.Answer(cudaSuccess);
}
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count) {
  Locked l;
  if (nodes != nullptr) return l.Answer(cudaErrorNotSupported);
  *count = graph->operations.size();
  return l.Answer(cudaSuccess);
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  Locked l;
  if (l.Dead()) return l.Answer(cudaSuccess);
  *exec = new CUgraphExec_st{graph->operations};
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long flags) {
  return cudaGraphInstantiate(exec, graph, flags);
}
cudaError_t cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph, cudaGraphExecUpdateResultInfo* info) {
  Locked l;
  if (l.Dead()) return l.Answer(cudaSuccess);
  *info = {cudaGraphExecUpdateSuccess, nullptr, nullptr};
  if (exec->operations.size() != graph->operations.size()) info->result = cudaGraphExecUpdateErrorTopologyChanged;
  for (size_t i = 0; info->result == cudaGraphExecUpdateSuccess && i < exec->operations.size(); ++i) {
    if (exec->operations[i].kind != graph->operations[i].kind) info->result = cudaGraphExecUpdateErrorNodeTypeChanged;
  }
  if (info->result != cudaGraphExecUpdateSuccess) return l.Answer(cudaErrorGraphExecUpdateFailure);
  exec->operations = graph->operations;
  return cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return Locked().Answer(cudaSuccess); }
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t on) {
  Locked l;
  CUstream_st* stream = StreamOf(on);
  if (l.Dead()) return l.Answer(cudaSuccess);
  if (exec == nullptr || !Known(stream)) return l.Answer(cudaErrorInvalidResourceHandle);
  if (stream->capture != nullptr) return l.Answer(cudaErrorNotSupported);
  return l.Answer(Enqueue(*stream, {Kind::kGraph, [operations = exec->operations] {
                                      ++runtime().graphs;
                                      for (const Operation& operation : operations) {
                                        if (runtime().sticky == cudaSuccess) operation.run();
                                      }
                                    }}));
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  Locked l;
  delete graph;
  return l.Answer(cudaSuccess);
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  Locked l;
  delete exec;
  return l.Answer(cudaSuccess);
}

// ---- Memory ------------------------------------------------------------------------------------------------------

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  Locked l;
  UseContext();
  *memory = nullptr;
  if (l.Dead()) return l.Answer(cudaSuccess);
  if (bytes == 0) return cudaSuccess;
  *memory = lanes::cuda::emulation::Allocate(cudaMemoryTypeDevice, bytes);
  return l.Answer(*memory == nullptr ? cudaErrorMemoryAllocation : cudaSuccess);
}
cudaError_t cudaMallocAsync(void** memory, size_t bytes, cudaStream_t) { return cudaMalloc(memory, bytes); }
cudaError_t cudaFree(void* memory) {
  Locked l;
  UseContext();
  if (memory == nullptr) return l.Answer(cudaSuccess);
  RunEverything();
  return l.Answer(lanes::cuda::emulation::Release(cudaMemoryTypeDevice, memory) ? cudaSuccess : cudaErrorInvalidValue);
}
cudaError_t cudaFreeAsync(void* memory, cudaStream_t on) {
  Locked l;
  if (memory == nullptr) return l.Answer(cudaSuccess);
  return l.Answer(Enqueue(*StreamOf(on), {Kind::kHost, [memory] { lanes::cuda::emulation::Release(cudaMemoryTypeDevice, memory); }}));
}
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  Locked l;
  UseContext();
  *memory = nullptr;
  if (l.Dead()) return l.Answer(cudaSuccess);
  if (bytes == 0) return cudaSuccess;
  *memory = lanes::cuda::emulation::Allocate(cudaMemoryTypeHost, bytes);
  return l.Answer(*memory == nullptr ? cudaErrorMemoryAllocation : cudaSuccess);
}
cudaError_t cudaMallocHost(void** memory, size_t bytes) { return cudaHostAlloc(memory, bytes, cudaHostAllocDefault); }
cudaError_t cudaFreeHost(void* memory) {
  Locked l;
  UseContext();
  if (memory == nullptr) return l.Answer(cudaSuccess);
  RunEverything();
  return l.Answer(lanes::cuda::emulation::Release(cudaMemoryTypeHost, memory) ? cudaSuccess : cudaErrorInvalidValue);
}
cudaError_t cudaHostRegister(void* memory, size_t bytes, unsigned) {
  Locked l;
  if (memory == nullptr || bytes == 0) return l.Answer(cudaErrorInvalidValue);
  return l.Answer(lanes::cuda::emulation::Register(memory, bytes) ? cudaSuccess : cudaErrorInvalidValue);
}
cudaError_t cudaHostUnregister(void* memory) {
  Locked l;
  RunEverything();
  return l.Answer(lanes::cuda::emulation::Unregister(memory) ? cudaSuccess : cudaErrorInvalidValue);
}
cudaError_t cudaHostGetDevicePointer(void** device, void* host, unsigned) {
  Locked l;
  const Allocation* allocation = Find(host, nullptr);
  if (allocation == nullptr || allocation->type != cudaMemoryTypeHost) return l.Answer(cudaErrorInvalidValue);
  *device = host;
  return l.Answer(cudaSuccess);
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  Locked l;
  const Allocation* allocation = Find(pointer, nullptr);
  *attributes = {allocation == nullptr ? cudaMemoryTypeUnregistered : allocation->type, allocation == nullptr ? -2 : 0, nullptr, nullptr};
  if (allocation != nullptr) attributes->devicePointer = const_cast<void*>(pointer);
  if (attributes->type != cudaMemoryTypeDevice) attributes->hostPointer = const_cast<void*>(pointer);
  return l.Answer(cudaSuccess);
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) { return Copy(to, bytes, from, bytes, bytes, 1, nullptr, true); }
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  return Copy(to, bytes, from, bytes, bytes, 1, stream, false);
}
cudaError_t cudaMemcpy2D(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width, size_t height, cudaMemcpyKind) {
  return Copy(to, to_pitch, from, from_pitch, width, height, nullptr, true);
}
cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width, size_t height, cudaMemcpyKind,
                              cudaStream_t stream) {
  return Copy(to, to_pitch, from, from_pitch, width, height, stream, false);
}
cudaError_t cudaMemset(void* memory, int value, size_t bytes) { return Fill(memory, bytes, value, bytes, 1, nullptr, false); }
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  return Fill(memory, bytes, value, bytes, 1, stream, false);
}
cudaError_t cudaMemset2DAsync(void* memory, size_t pitch, int value, size_t width, size_t height, cudaStream_t stream) {
  return Fill(memory, pitch, value, width, height, stream, false);
}

// ---- Functions ---------------------------------------------------------------------------------------------------

cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value) {
  Locked l;
  UseContext();
  if (l.Dead()) return l.Answer(cudaSuccess);
  Runtime::Function& f = l.r.functions[function];
  if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize) {
    if (value < 0 || value > SharedLimit()) return l.Answer(cudaErrorInvalidValue);
    f.shared_bytes = value;
  } else if (attribute == cudaFuncAttributeNonPortableClusterSizeAllowed) {
    f.large_clusters = value != 0;
  }
  return cudaSuccess;
}
static int PrimaryContextState(int device, unsigned int* flags, int* active) {
  Locked l;
  *flags = 0;
  *active = l.r.contexts[static_cast<size_t>(device)] ? 1 : 0;
  return 0;
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* function) {
  Locked l;
  UseContext();
  *attributes = {};
  attributes->maxThreadsPerBlock = 1024;
  attributes->numRegs = 64;
  attributes->binaryVersion = l.r.arch;
  attributes->ptxVersion = PtxOf(l.r);
  attributes->maxDynamicSharedSizeBytes = l.r.functions[function].shared_bytes;
  return l.Answer(cudaSuccess);
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void*, int threads, size_t shared_bytes) {
  const int by_memory = static_cast<int>(static_cast<size_t>(SharedLimit() + 1024) / (shared_bytes + 1024));
  *blocks = std::max(0, std::min(by_memory, threads > 0 ? 2048 / threads : 0));
  return Locked().Answer(cudaSuccess);
}
cudaError_t cudaGetDriverEntryPoint(const char* symbol, void** function, unsigned long long, cudaDriverEntryPointQueryResult* result) {
  const bool known = strcmp(symbol, "cuDevicePrimaryCtxGetState") == 0;
  *function = known ? reinterpret_cast<void*>(&PrimaryContextState) : nullptr;
  if (result != nullptr) *result = known ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
  return Locked().Answer(cudaSuccess);
}
cudaError_t cudaGetDriverEntryPointByVersion(const char* symbol, void** function, unsigned, unsigned long long flags,
                                             cudaDriverEntryPointQueryResult* result) {
  return cudaGetDriverEntryPoint(symbol, function, flags, result);
}
