#include "cuda/runtime/launch.h"

namespace flambeau::cuda {

void launch(int device, FunctionHandle* kernel, Grid grid, unsigned threads, const void* arguments) {
  void* parameters[] = {const_cast<void*>(arguments)};
  check(activate(device).cuLaunchKernel(kernel, grid.x, grid.y, 1, threads, 1, 1, 0, current_stream(device), parameters,
                                        nullptr),
        "launching a kernel");
}

}  // namespace flambeau::cuda
