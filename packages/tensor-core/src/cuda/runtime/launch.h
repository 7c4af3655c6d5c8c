// Launching kernels. Geometry is decided in plain functions, which the host's tests call.
#pragma once

#include "cuda/runtime/compiler.h"
#include "cuda/runtime/devices.h"

namespace flambeau::cuda {

struct Grid {
  unsigned x = 1, y = 1;
};

inline constexpr unsigned kThreads = 256;  // of a block, unless a kernel wants another number

constexpr int64_t divide_up(int64_t n, int64_t by) { return n / by + (n % by != 0); }

// On the thread's current stream of that GPU. A kernel takes one structure.
void launch(int device, FunctionHandle* kernel, Grid grid, unsigned threads, const void* arguments);
template <class Arguments>
void launch(int device, CudaModule& module, int kernel, Grid grid, unsigned threads, const Arguments& arguments) {
  launch(device, module.kernel(device, kernel), grid, threads, static_cast<const void*>(&arguments));
}

}  // namespace flambeau::cuda
