// The functions of the CUDA driver that this library uses. The driver is loaded at run time and needs no CUDA toolkit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "cuda/runtime/library.h"
#include "flambeau/cuda.h"  // public handles

namespace flambeau::cuda {

using DevicePointer = unsigned long long;
struct ContextHandle;
struct ModuleHandle;
struct FunctionHandle;
struct GraphHandle;
struct GraphExecutableHandle;
struct LaunchAttribute {  // CUlaunchAttribute
  int name, unused[1];
  int value, rest[15];
};
struct LaunchConfiguration {  // CUlaunchConfig
  unsigned grid[3], block[3], shared_bytes;
  StreamHandle* stream;
  const LaunchAttribute* attributes;
  unsigned attribute_count;
};
static_assert(sizeof(LaunchAttribute) == 72 && sizeof(LaunchConfiguration) == 56);

// Calls X(name, (parameters)) for each function that is used. The functions return an error code, or 0 for success.
#define FLAMBEAU_DRIVER_FUNCTIONS(X)                                                                          \
  X(cuInit, (unsigned))                                                                                       \
  X(cuDriverGetVersion, (int*))                                                                               \
  X(cuGetErrorName, (int, const char**))                                                                      \
  X(cuGetErrorString, (int, const char**))                                                                    \
  X(cuDeviceGetCount, (int*))                                                                                 \
  X(cuDeviceGet, (int*, int))                                                                                 \
  X(cuDeviceGetName, (char*, int, int))                                                                       \
  X(cuDeviceGetAttribute, (int*, int, int))                                                                   \
  X(cuDeviceGetUuid_v2, (unsigned char*, int))                                                                \
  X(cuDeviceTotalMem_v2, (size_t*, int))                                                                      \
  X(cuDevicePrimaryCtxRetain, (ContextHandle**, int))                                                         \
  X(cuCtxSetCurrent, (ContextHandle*))                                                                        \
  X(cuCtxGetCurrent, (ContextHandle**))                                                                       \
  X(cuCtxSynchronize, ())                                                                                     \
  X(cuMemGetInfo_v2, (size_t*, size_t*))                                                                      \
  X(cuMemAlloc_v2, (DevicePointer*, size_t))                                                                  \
  X(cuMemFree_v2, (DevicePointer))                                                                            \
  X(cuPointerGetAttribute, (void*, int, DevicePointer))                                                       \
  X(cuMemHostAlloc, (void**, size_t, unsigned))                                                               \
  X(cuMemFreeHost, (void*))                                                                                   \
  X(cuMemcpyHtoDAsync_v2, (DevicePointer, const void*, size_t, StreamHandle*))                                \
  X(cuMemcpyDtoHAsync_v2, (void*, DevicePointer, size_t, StreamHandle*))                                      \
  X(cuMemcpyDtoDAsync_v2, (DevicePointer, DevicePointer, size_t, StreamHandle*))                              \
  X(cuMemcpyPeerAsync, (DevicePointer, ContextHandle*, DevicePointer, ContextHandle*, size_t, StreamHandle*)) \
  X(cuMemsetD32Async, (DevicePointer, unsigned, size_t, StreamHandle*))                                       \
  X(cuStreamCreateWithPriority, (StreamHandle**, unsigned, int))                                              \
  X(cuStreamDestroy_v2, (StreamHandle*))                                                                      \
  X(cuStreamSynchronize, (StreamHandle*))                                                                     \
  X(cuStreamQuery, (StreamHandle*))                                                                           \
  X(cuStreamWaitEvent, (StreamHandle*, EventHandle*, unsigned))                                               \
  X(cuEventCreate, (EventHandle**, unsigned))                                                                 \
  X(cuEventRecord, (EventHandle*, StreamHandle*))                                                             \
  X(cuEventQuery, (EventHandle*))                                                                             \
  X(cuEventSynchronize, (EventHandle*))                                                                       \
  X(cuEventElapsedTime, (float*, EventHandle*, EventHandle*))                                                 \
  X(cuEventDestroy_v2, (EventHandle*))                                                                        \
  X(cuModuleLoadData, (ModuleHandle**, const void*))                                                          \
  X(cuModuleGetFunction, (FunctionHandle**, ModuleHandle*, const char*))                                      \
  X(cuLaunchKernelEx, (const LaunchConfiguration*, FunctionHandle*, void**, void**))                          \
  X(cuStreamBeginCapture_v2, (StreamHandle*, int))                                                            \
  X(cuStreamEndCapture, (StreamHandle*, GraphHandle**))                                                       \
  X(cuStreamGetCaptureInfo_v2, (StreamHandle*, int*, unsigned long long*, GraphHandle**, void*, size_t*))     \
  X(cuGraphInstantiateWithFlags, (GraphExecutableHandle**, GraphHandle*, unsigned long long))                 \
  X(cuGraphLaunch, (GraphExecutableHandle*, StreamHandle*))                                                   \
  X(cuGraphDestroy, (GraphHandle*))                                                                           \
  X(cuGraphExecDestroy, (GraphExecutableHandle*))

struct Driver {
  FLAMBEAU_DRIVER_FUNCTIONS(FLAMBEAU_DECLARE_FUNCTION)
};

namespace code {  // error codes that are handled separately
inline constexpr int kInvalidValue = 1, kOutOfMemory = 2, kInvalidImage = 200, kNoBinaryForGpu = 209, kInvalidPtx = 218,
                     kUnsupportedPtxVersion = 222, kJitCompilationDisabled = 223, kNotReady = 600;
}
namespace attribute {
inline constexpr int kThreadsPerBlock = 1, kSharedMemoryPerBlock = 8, kWarpSize = 10, kClockRate = 13,
                     kMultiprocessors = 16, kIntegrated = 18, kMemoryClockRate = 36, kBusWidth = 37, kL2CacheSize = 38,
                     kThreadsPerMultiprocessor = 39, kMajor = 75, kMinor = 76, kSharedMemoryPerMultiprocessor = 81,
                     kRegistersPerMultiprocessor = 82, kPageableMemoryAccess = 88, kSharedMemoryOptIn = 97,
                     kHostPageTables = 100;
}

// Returns the initialised driver. If no driver can be used, raises an error that gives the reason in one sentence.
const Driver& driver();
// Returns the reason why driver() would raise an error, or an empty string.
const std::string& driver_obstacle();

// Raises an error for a nonzero code. `what` describes the operation, such as "allocating memory".
[[gnu::cold]] void fail(int code, const char* what);
inline void check(int code, const char* what) {
  if (__builtin_expect(code != 0, 0)) fail(code, what);
}

}  // namespace flambeau::cuda
