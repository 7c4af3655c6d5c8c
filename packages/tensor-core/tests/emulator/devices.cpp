// Devices, contexts, device memory and host memory.
#include <cstdlib>
#include <cstring>
#include <map>
#include <string_view>

#include "state.h"

using namespace emulated;

int emulated::capability() {
  const char* text = std::getenv("FLAMBEAU_EMULATED_CAPABILITY");
  return text && *text ? std::atoi(text) : 90;
}

namespace {

// Attributes by the numbers of CUdevice_attribute. All others are 0.
int attribute(int number, int device) {
  const bool turing = capability() == 75;
  const std::map<int, int> values = {
      {1, 1024},  // threads per block; 2 to 4: extents of a block; 5 to 7: extents of a grid
      {2, 1024},
      {3, 1024},
      {4, 64},
      {5, 2147483647},
      {6, 65535},
      {7, 65535},
      {8, 48 << 10},  // shared memory per block; 9: constant memory; 10: warp size
      {9, 64 << 10},
      {10, kWarpSize},
      {11, 2147483647},  // maximum pitch of a copy
      {12, 32768},       // registers per block, fewer than per multiprocessor, so that tests distinguish them
      {13, 1980000},     // clock rate in kHz
      {14, 512},         // alignment of textures
      {15, 1},           // copies run concurrently with kernels
      {16, 132},         // multiprocessors
      {19, 1},           // host memory can be mapped; 31: kernels run concurrently
      {31, 1},
      {33, device + 1},  // PCI bus number
      {36, 2619000},     // clock rate of the memory in kHz; 37: its bus width in bits
      {37, 5120},
      {38, 50 << 20},              // size of the second-level cache
      {39, turing ? 1024 : 2048},  // threads per multiprocessor
      {40, 3},                     // copy engines
      {41, 1},                     // unified addressing
      {75, capability() / 10},     // 75, 76: compute capability
      {76, capability() % 10},
      {78, 1},                          // stream priorities
      {81, (turing ? 64 : 228) << 10},  // shared memory per multiprocessor; 82: its registers
      {82, 65536},
      {88, reads_pageable_memory()},    // access to pageable host memory
      {97, (turing ? 64 : 227) << 10},  // opt-in maximum of shared memory per block
      {106, turing ? 16 : 32},          // blocks per multiprocessor
  };
  const auto it = values.find(number);
  return it == values.end() ? 0 : it->second;
}

}  // namespace

int emulated::driver_generation() {
  const char* text = std::getenv("FLAMBEAU_EMULATED_DRIVER");
  return text && *text ? std::atoi(text) : 13;
}

bool emulated::reads_pageable_memory() {
  const char* text = std::getenv("FLAMBEAU_EMULATED_PAGEABLE");
  return text && std::string_view(text) == "1";
}

EMULATED_API int cuDriverGetVersion(int* version) {
  EMULATED_CALL(Call::kNothing);
  *version = driver_generation() * 1000;
  return kSuccess;
}

EMULATED_API int cuDeviceGetCount(int* count) {
  EMULATED_CALL(Call::kInitialized);
  *count = int(state().contexts.size());
  return kSuccess;
}

EMULATED_API int cuDeviceGet(int* device, int ordinal) {
  EMULATED_CALL(Call::kInitialized);
  if (!device_context(ordinal)) return kInvalidDevice;
  *device = ordinal;
  return kSuccess;
}

EMULATED_API int cuDeviceGetName(char* name, int length, int device) {
  EMULATED_CALL(Call::kInitialized);
  if (!device_context(device)) return kInvalidDevice;
  if (length <= 0) return kInvalidValue;
  std::strncpy(name, "Emulated GPU", size_t(length) - 1);
  name[length - 1] = 0;
  return kSuccess;
}

EMULATED_API int cuDeviceGetAttribute(int* value, int number, int device) {
  EMULATED_CALL(Call::kInitialized);
  if (!device_context(device)) return kInvalidDevice;
  if (number < 1 || number > 150) return kInvalidValue;
  *value = attribute(number, device);
  return kSuccess;
}

EMULATED_API int cuDeviceTotalMem_v2(size_t* bytes, int device) {
  EMULATED_CALL(Call::kInitialized);
  if (!device_context(device)) return kInvalidDevice;
  *bytes = device_context(device)->memory.total();
  return kSuccess;
}

EMULATED_API int cuDeviceGetUuid_v2(unsigned char* uuid, int device) {
  EMULATED_CALL(Call::kInitialized);
  if (!device_context(device)) return kInvalidDevice;
  std::memcpy(uuid, "emulated device", 15);
  uuid[15] = static_cast<unsigned char>(device);
  return kSuccess;
}

EMULATED_API int cuDevicePrimaryCtxRetain(Context** context, int device) {
  EMULATED_CALL(Call::kInitialized);
  if (!device_context(device)) return kInvalidDevice;
  *context = device_context(device);
  ++(*context)->retained;
  return kSuccess;
}

EMULATED_API int cuDevicePrimaryCtxRelease_v2(int device) {
  EMULATED_CALL(Call::kInitialized);
  Context* context = device_context(device);
  if (!context) return kInvalidDevice;
  if (!context->retained) return kInvalidContext;
  if (--context->retained == 0) {
    run_all(*context);
    context->memory.release_all();
    context->sticky = kSuccess;
  }
  return kSuccess;
}

EMULATED_API int cuCtxSetCurrent(Context* context) {
  EMULATED_CALL(Call::kInitialized);
  bool known = !context;
  for (auto& other : state().contexts) known |= other.get() == context;
  if (!known) return kInvalidContext;
  current_context = context;
  return kSuccess;
}

EMULATED_API int cuCtxGetCurrent(Context** context) {
  EMULATED_CALL(Call::kInitialized);
  *context = current_context;
  return kSuccess;
}

EMULATED_API int cuCtxGetDevice(int* device) {
  EMULATED_CALL(Call::kInitialized);
  if (!current_context) return kInvalidContext;
  *device = current_context->device;
  return kSuccess;
}

EMULATED_API int cuCtxSynchronize() {
  EMULATED_CALL();
  bool capturing = false;
  for (Capture* capture : state().captures) {  // captures of any mode
    if (capture->origin->context != call.context) continue;
    capture->valid = false;
    capturing = true;
  }
  if (capturing) return kCaptureUnsupported;
  run_all(*call.context);
  return call.context->sticky;
}

EMULATED_API int cuProfilerStart() {
  EMULATED_CALL();
  return kSuccess;  // no profiler is attached
}

EMULATED_API int cuProfilerStop() {
  EMULATED_CALL();
  return kSuccess;
}

EMULATED_API int cuMemGetInfo_v2(size_t* free, size_t* total) {
  EMULATED_CALL();
  *total = call.context->memory.total();
  *free = *total - call.context->memory.used();
  return kSuccess;
}

EMULATED_API int cuMemAlloc_v2(unsigned long long* address, size_t bytes) {
  EMULATED_CALL();
  if (bytes == 0) return kInvalidValue;
  if (const int error = unsafe_while_capturing()) return error;
  char* memory = call.context->memory.allocate(bytes);
  if (!memory) return kOutOfMemory;
  *address = reinterpret_cast<unsigned long long>(memory);
  return kSuccess;
}

// Does not wait for operations that use the memory: the real driver may wait, but its documentation does not promise
// it.
EMULATED_API int cuMemFree_v2(unsigned long long address) {
  EMULATED_CALL();
  if (address == 0) return kSuccess;
  if (const int error = unsafe_while_capturing()) return error;
  Context* context = context_of(reinterpret_cast<char*>(address));
  if (!context) return kInvalidValue;
  if (context->sticky) return context->sticky;
  return context->memory.release(reinterpret_cast<char*>(address)) ? kSuccess : kInvalidValue;
}

EMULATED_API int cuMemHostAlloc(void** address, size_t bytes, unsigned) {
  EMULATED_CALL();
  if (bytes == 0) return kInvalidValue;
  if (const int error = unsafe_while_capturing()) return error;
  void* memory = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  if (!memory) return kOutOfMemory;
  std::memset(memory, 0xA5, bytes);
  state().host_memory[static_cast<char*>(memory)] = bytes;
  *address = memory;
  return kSuccess;
}

EMULATED_API int cuMemFreeHost(void* address) {
  EMULATED_CALL();
  if (const int error = unsafe_while_capturing()) return error;
  if (!state().host_memory.count(static_cast<char*>(address))) return kInvalidValue;
  for (auto& context : state().contexts) run_all(*context);
  state().host_memory.erase(static_cast<char*>(address));
  std::free(address);
  return kSuccess;
}

EMULATED_API int cuMemHostGetFlags(unsigned* flags, void* address) {
  EMULATED_CALL();
  if (!state().host_memory.count(static_cast<char*>(address))) return kInvalidValue;
  *flags = 3;  // portable, mapped
  return kSuccess;
}

EMULATED_API int cuPointerGetAttribute(void* data, int attribute, unsigned long long address) {
  EMULATED_CALL();
  char* pointer = reinterpret_cast<char*>(address);
  Context* context = context_of(pointer);
  char* start = nullptr;
  size_t bytes = 0;
  if (context) {
    const auto range = context->memory.find(pointer);
    start = range.start, bytes = range.bytes;
  } else {
    auto it = state().host_memory.upper_bound(pointer);
    if (it != state().host_memory.begin() && size_t(pointer - (--it)->first) < it->second)
      start = it->first, bytes = it->second;
  }
  if (!start) return kInvalidValue;
  switch (attribute) {
    case 1:
      *static_cast<Context**>(data) = context ? context : call.context;
      return kSuccess;
    case 2:
      *static_cast<unsigned*>(data) = context ? 2 : 1;
      return kSuccess;  // memory type: device or host
    case 3:
      *static_cast<char**>(data) = pointer;
      return kSuccess;
    case 4:
      if (context) return kInvalidValue;
      *static_cast<char**>(data) = pointer;
      return kSuccess;
    case 7:
      *static_cast<char**>(data) = start;
      return kSuccess;  // unique number of the allocation
    case 8:
      *static_cast<bool*>(data) = false;
      return kSuccess;  // true for managed memory
    case 9:
      *static_cast<int*>(data) = (context ? context : call.context)->device;
      return kSuccess;
    case 11:
      *static_cast<char**>(data) = start;
      return kSuccess;
    case 12:
      *static_cast<size_t*>(data) = bytes;
      return kSuccess;
    case 13:
      *static_cast<bool*>(data) = true;
      return kSuccess;  // true for mapped memory
    default:
      return kNotSupported;
  }
}
