// The modules of a family of kernels. Each module is created at its first use. Note [CUDA modules]
#pragma once

#include <memory>
#include <mutex>
#include <unordered_map>

#include "cuda/runtime/compiler.h"
#include "flambeau/dtype.h"

namespace flambeau::cuda {

class CudaModules {
 public:
  // Returns the module with this key. If it does not exist, calls make(), which returns a std::unique_ptr<CudaModule>.
  template <class Make>
  CudaModule& find(uint64_t key, Make&& make) {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<CudaModule>& module = modules_[key];
    if (!module) module = make();
    return *module;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<uint64_t, std::unique_ptr<CudaModule>> modules_;
};

// Returns the C++ name of a dtype's element type in the source of modules.
inline const char* type_name(Dtype d) {
  require<NotImplementedError>(!is_small_float(d), "CUDA kernels for ", d,
                               " do not exist: convert the tensor on the CPU");
#define FLAMBEAU_NAME(name, type, category) #type,
  static constexpr const char* names[] = {FLAMBEAU_DTYPES(FLAMBEAU_NAME)};
#undef FLAMBEAU_NAME
  return names[int(d)];
}

}  // namespace flambeau::cuda
