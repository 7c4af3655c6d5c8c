// Kernel launches. The geometry is computed by plain functions, which tests call on the host.
#pragma once

#include "cuda/runtime/compiler.h"
#include "cuda/runtime/devices.h"

namespace flambeau::cuda {

struct Grid {
  unsigned x = 1, y = 1;
};

inline constexpr unsigned kThreads = 256;  // default number of threads of a block

constexpr int64_t divide_up(int64_t n, int64_t by) { return n / by + (n % by != 0); }

// Launches a kernel on the thread's current stream of the GPU. `arguments` points to the structure that is the kernel's
// only parameter.
void launch(int device, FunctionHandle* kernel, Grid grid, unsigned threads, const void* arguments);
template <class Arguments>
void launch(int device, CudaModule& module, int kernel, Grid grid, unsigned threads, const Arguments& arguments) {
  launch(device, module.kernel(device, kernel), grid, threads, static_cast<const void*>(&arguments));
}

}  // namespace flambeau::cuda
