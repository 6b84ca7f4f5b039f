// Which GPUs there are, and the devices that are open.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>

#include "cuda/common/stream_device.h"
#include "cuda/cuda.h"

namespace lanes::cuda {
namespace {

constexpr int kLeastMajor = 8;

// Devices close under the same lock under which they are opened: a failed one takes the process's context with it.
struct OpenDevices {
  std::recursive_mutex mutex;
  std::map<int32_t, std::weak_ptr<StreamDevice>> devices;
};

// Never destroyed: devices may be closed by threads that outlive static destructors.
OpenDevices& GetOpenDevices() {
  static OpenDevices& open = *new OpenDevices;
  return open;
}

// A failed device answers all calls of the process.
void CheckOpenDevices() {
  OpenDevices& open = GetOpenDevices();
  const std::lock_guard<std::recursive_mutex> lock(open.mutex);
  for (const auto& entry : open.devices) {
    if (const std::shared_ptr<StreamDevice> device = entry.second.lock()) device->health().CheckAlive();
  }
}

[[noreturn]] void ThrowNoDevice(const char* reason) { ThrowUnsupported("no CUDA device: %s", reason); }

[[noreturn]] void ThrowNoDevice(cudaError_t status) {
  cudaGetLastError();
  int driver = 0;
  cudaDriverGetVersion(&driver);
  cudaGetLastError();
  char text[160];
  switch (status) {
    case cudaErrorInsufficientDriver:
      if (driver == 0) ThrowNoDevice("there is no driver (libcuda.so.1 was not found)");
      snprintf(text, sizeof text, "the driver serves CUDA %d.%d, and this build needs %d.%d", driver / 1000, driver % 1000 / 10,
               CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
      ThrowNoDevice(text);
    case cudaErrorNoDevice:
      ThrowNoDevice("none is visible (CUDA_VISIBLE_DEVICES may hide it)");
    default:
      snprintf(text, sizeof text, "%s (%s)", cudaGetErrorString(status), cudaGetErrorName(status));
      ThrowNoDevice(text);
  }
}

int Attribute(cudaDeviceAttr attribute, int32_t index) {
  int value = 0;
  const cudaError_t status = cudaDeviceGetAttribute(&value, attribute, index);
  if (status != cudaSuccess) ThrowNoDevice(status);
  return value;
}

int CheckIndex(int32_t index) {
  const int32_t count = DeviceCount();
  if (index < 0 || index >= count) ThrowInvalid("index is %d: expected 0 to %d", index, count - 1);
  return count;
}

void Close(StreamDevice* device, int32_t index) {
  const std::lock_guard<std::recursive_mutex> lock(GetOpenDevices().mutex);
  const bool failed = device->health().failed();
  delete device;
  // Only a new context works again.
  if (!failed) return;
  const UseDevice use(index);
  cudaDeviceReset();
  cudaGetLastError();
}

}  // namespace

int32_t DeviceCount() {
  CheckOpenDevices();
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) ThrowNoDevice(status);
  if (count == 0) ThrowNoDevice(cudaErrorNoDevice);
  int major = 0, minor = 0;
  for (int32_t i = 0; i < count; ++i) {
    major = Attribute(cudaDevAttrComputeCapabilityMajor, i);
    minor = Attribute(cudaDevAttrComputeCapabilityMinor, i);
    if (major >= kLeastMajor) return count;
  }
  char text[80];
  snprintf(text, sizeof text, "compute capability %d.%d is below %d.0", major, minor, kLeastMajor);
  ThrowNoDevice(text);
}

lanes_device_info DeviceInfo(int32_t index) {
  CheckIndex(index);
  cudaDeviceProp properties;
  const cudaError_t status = cudaGetDeviceProperties(&properties, index);
  if (status != cudaSuccess) ThrowNoDevice(status);
  lanes_device_info info = {};
  snprintf(info.name, sizeof info.name, "%.127s", properties.name);
  info.major = properties.major;
  info.minor = properties.minor;
  info.multiprocessors = properties.multiProcessorCount;
  cudaDriverGetVersion(&info.driver_version);
  cudaRuntimeGetVersion(&info.runtime_version);
  info.total_bytes = properties.totalGlobalMem;
  info.free_bytes = UINT64_MAX;
  const UseDevice use(index);
  size_t free_bytes = 0, total_bytes = 0;
  if (cudaMemGetInfo(&free_bytes, &total_bytes) == cudaSuccess) info.free_bytes = free_bytes;
  cudaGetLastError();
  return info;
}

std::shared_ptr<Accelerator> OpenDevice(int32_t index) {
  CheckIndex(index);
  const int major = Attribute(cudaDevAttrComputeCapabilityMajor, index);
  if (major < kLeastMajor) {
    ThrowUnsupported("CUDA device %d has compute capability %d.%d: expected at least %d.0", index, major,
                     Attribute(cudaDevAttrComputeCapabilityMinor, index), kLeastMajor);
  }
  OpenDevices& open = GetOpenDevices();
  const std::lock_guard<std::recursive_mutex> lock(open.mutex);
  std::weak_ptr<StreamDevice>& known = open.devices[index];
  if (std::shared_ptr<StreamDevice> device = known.lock()) return device;
  std::shared_ptr<StreamDevice> device(new StreamDevice(index), [index](StreamDevice* closing) { Close(closing, index); });
  known = device;
  return device;
}

}  // namespace lanes::cuda
