#include "cuda/runtime/launch.h"

namespace flambeau::cuda {

// Note [Launches ahead]
// A GPU of compute capability 9.0 or later can launch a kernel while the previous kernel of the stream ends, which
// reduces the time of small kernels by a fifth. A launch of this type has the attribute kMayOverlap, and the kernel
// waits for the results of the previous kernel in its first instruction (device/threads/kernel.h). Therefore all
// kernels still run in order.
void launch(int device, FunctionHandle* kernel, Grid grid, unsigned threads, const void* arguments) {
  constexpr int kMayOverlap = 6;  // CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION
  const LaunchAttribute overlap{kMayOverlap, {}, 1, {}};
  const bool waits = properties(device).major >= 9;
  const LaunchConfiguration configuration{{grid.x, grid.y, 1},    {threads, 1, 1}, 0,
                                          current_stream(device), &overlap,        waits};
  void* parameters[] = {const_cast<void*>(arguments)};
  check(activate(device).cuLaunchKernelEx(&configuration, kernel, parameters, nullptr), "launching a kernel");
}

}  // namespace flambeau::cuda
