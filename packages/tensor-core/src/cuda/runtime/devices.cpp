#include "cuda/runtime/devices.h"

#include <array>
#include <mutex>

#include "flambeau/cuda/tf32.h"
#include "flambeau/errors.h"

namespace flambeau::cuda {

namespace {

constexpr int kOldestCapability = 75;  // major * 10 + minor of the oldest architecture that NVRTC supports

struct Gpu {
  ContextHandle* context = nullptr;
  Properties properties;
  bool reads_pageable_memory = false;  // if true, a copy from host memory may return before it has read the memory
};

struct Gpus {
  int count = 0;
  std::array<Gpu, kMaxDevices> all;
  std::mutex mutex;

  Gpus() {
    if (driver_obstacle().empty()) check(driver().cuDeviceGetCount(&count), "counting the GPUs");
    if (count > kMaxDevices) count = kMaxDevices;
  }
};
Gpus& gpus() {
  static Gpus* once = new Gpus;
  return *once;
}

int device_attribute(int device, int which) {
  int value = 0;
  check(driver().cuDeviceGetAttribute(&value, which, device), "querying an attribute of a GPU");
  return value;
}

Properties read_properties(int device) {
  const Driver& d = driver();
  Properties p;
  char name[256] = {};
  check(d.cuDeviceGetName(name, sizeof name, device), "querying the name of a GPU");
  p.name = name;
  check(d.cuDeviceTotalMem_v2(&p.total_memory, device), "querying the memory of a GPU");
  check(d.cuDeviceGetUuid_v2(p.uuid.data(), device), "querying the UUID of a GPU");
  p.major = device_attribute(device, attribute::kMajor);
  p.minor = device_attribute(device, attribute::kMinor);
  p.multiprocessors = device_attribute(device, attribute::kMultiprocessors);
  p.threads_per_multiprocessor = device_attribute(device, attribute::kThreadsPerMultiprocessor);
  p.shared_memory_per_block = device_attribute(device, attribute::kSharedMemoryPerBlock);
  p.l2_cache = device_attribute(device, attribute::kL2CacheSize);
  p.warp_size = device_attribute(device, attribute::kWarpSize);
  p.registers_per_multiprocessor = device_attribute(device, attribute::kRegistersPerMultiprocessor);
  p.integrated = device_attribute(device, attribute::kIntegrated);
  return p;
}

thread_local int device_of_thread = 0;

Gpu& opened(int device) {
  check_device(device);
  Gpu& gpu = gpus().all[size_t(device)];
  if (__builtin_expect(gpu.context != nullptr, 1)) return gpu;
  std::lock_guard lock(gpus().mutex);
  if (gpu.context) return gpu;
  gpu.properties = read_properties(device);
  gpu.reads_pageable_memory = device_attribute(device, attribute::kPageableMemoryAccess) ||
                              device_attribute(device, attribute::kHostPageTables);
  const Properties& p = gpu.properties;
  require(p.major * 10 + p.minor >= kOldestCapability, "the GPU ", device, " (", p.name, ") has compute capability ",
          p.major, ".", p.minor, "; flambeau needs 7.5 or later (Turing, 2018)");
  check(driver().cuDevicePrimaryCtxRetain(&gpu.context, device), "creating the context of a GPU");
  return gpu;
}

}  // namespace

int device_count() { return gpus().count; }
bool is_available() { return device_count() > 0; }
const std::string& obstacle() {
  static const std::string none =
      "the NVIDIA driver found no GPU; check the output of nvidia-smi and the environment variable "
      "CUDA_VISIBLE_DEVICES";
  return driver_obstacle().empty() && device_count() == 0 ? none : driver_obstacle();
}

void check_device(int device) {
  if (device_count() == 0) detail::raise<Error>("CUDA is not available: ", obstacle());
  require(device >= 0 && device < device_count(), "CUDA error: invalid device ordinal: there is no GPU ", device,
          ", the number of GPUs is ", device_count());
}

int current_device() { return device_of_thread; }
void set_device(int device) {
  check_device(device);
  device_of_thread = device;
}
bool has_matrix_units(int device, Dtype dtype) {
  if (dtype == Dtype::float16) return true;
  return (dtype == Dtype::bfloat16 || (dtype == Dtype::float32 && tf32_allowed())) && properties(device).major >= 8;
}
const Properties& properties(int device) { return opened(device).properties; }
bool reads_pageable_memory(int device) { return opened(device).reads_pageable_memory; }
ContextHandle* context_of(int device) { return opened(device).context; }

int device_of(int64_t address) {
  constexpr int kDeviceOrdinal = 9;
  int device = -1;
  const int code = activate(current_device()).cuPointerGetAttribute(&device, kDeviceOrdinal, DevicePointer(address));
  require<ValueError>(code == 0 && device >= 0, "the address ", address, " is not memory of a GPU");
  return device;
}

const Driver& activate(int device) {
  ContextHandle *wanted = context_of(device), *current = nullptr;
  const Driver& d = driver();
  if (d.cuCtxGetCurrent(&current) != 0 || current != wanted) check(d.cuCtxSetCurrent(wanted), "selecting a GPU");
  return d;
}

}  // namespace flambeau::cuda
