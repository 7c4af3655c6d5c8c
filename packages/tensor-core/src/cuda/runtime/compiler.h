// Kernels that are compiled at first use.
//
// Note [CUDA modules]
// A module is a few lines of source that name the header of a family and the requested kernels. NVRTC compiles it for
// the GPU's architecture, with the installed headers. The code is cached on disk, in $FLAMBEAU_CACHE or
// ~/.cache/flambeau. The name of the file is a hash of everything that the code depends on: the module's text, the
// headers, the options, the architecture and the compiler's generation. A file is first written under a temporary name
// and then renamed, so that neither other processes nor an interruption can leave an incomplete file. If a file is
// damaged nevertheless, or if the driver rejects it, the module is compiled again.
#pragma once

#include <atomic>
#include <initializer_list>
#include <string>
#include <vector>

#include "cuda/runtime/driver.h"

namespace flambeau::cuda {

class CudaModule {
 public:
  // `name` appears in error messages. A caller requests a kernel by its index in `kernels`.
  CudaModule(std::string name, std::string source, std::initializer_list<const char*> kernels);
  CudaModule(const CudaModule&) = delete;
  FunctionHandle* kernel(int device, int number = 0) {
    FunctionHandle* found = functions_[size_t(device) * names_.size() + size_t(number)].load(std::memory_order_acquire);
    return __builtin_expect(found != nullptr, 1) ? found : load(device, number);
  }

 private:
  FunctionHandle* load(int device, int number);

  const std::string name_, source_;
  const std::vector<const char*> names_;
  std::vector<std::atomic<FunctionHandle*>> functions_;  // kernels of device 0, then of device 1, and so on
};

// Returns the folder in which compiled code is cached, or an empty string if no folder is available.
std::string kernel_cache();

}  // namespace flambeau::cuda
