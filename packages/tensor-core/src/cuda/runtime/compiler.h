// Kernels, compiled when they are first needed.
//
// Note [CUDA modules]
// A module is a few lines of source that name a family's header and the kernels wanted of it. It is compiled by NVRTC
// for the GPU's architecture from the installed headers; what comes out is kept on disk, in $FLAMBEAU_CACHE or
// ~/.cache/flambeau, under a name made of everything it depends on: the module's text, the headers, the options, the
// architecture, the compiler's generation. A file is written under another name first and then renamed, so that
// processes which compile the same module at once, or are interrupted, leave whole files alone; one that is damaged all
// the same, or that the driver rejects, is compiled again.
#pragma once

#include <atomic>
#include <initializer_list>
#include <string>
#include <vector>

#include "cuda/runtime/driver.h"

namespace flambeau::cuda {

class CudaModule {
 public:
  // `name` is what errors call it; `kernels` are the names of those that are asked for by their number.
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
  std::vector<std::atomic<FunctionHandle*>> functions_;  // of every device, one after the other
};

// The folder of compiled code; empty if there is none.
std::string kernel_cache();

}  // namespace flambeau::cuda
