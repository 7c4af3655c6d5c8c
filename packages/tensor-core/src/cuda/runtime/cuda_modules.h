// A family's modules, each made when it is first asked for. Note [CUDA modules]
#pragma once

#include <memory>
#include <mutex>
#include <unordered_map>

#include "cuda/runtime/compiler.h"
#include "flambeau/dtype.h"

namespace flambeau::cuda {

class CudaModules {
 public:
  // The module of that key; make() gives a std::unique_ptr<CudaModule>.
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

// How a module's source names the type of a dtype's elements.
inline const char* type_name(Dtype d) {
#define FLAMBEAU_NAME(name, type, category) #type,
  static constexpr const char* names[] = {FLAMBEAU_DTYPES(FLAMBEAU_NAME)};
#undef FLAMBEAU_NAME
  return names[int(d)];
}

}  // namespace flambeau::cuda
