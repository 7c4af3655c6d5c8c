// Functions that another array library (CuPy) computes on GPUs, for which flambeau has no kernels.
// python/flambeau/cuda/_arrays.py lists them.
#pragma once

#include <vector>

#include "flambeau/cuda.h"

namespace flambeau::cuda {

using ArrayFunction = std::vector<Tensor> (*)(const char* name, const Tensor& t, const std::vector<int64_t>& numbers);
FLAMBEAU_API extern ArrayFunction array_function;  // set by the bindings; null until then

// Returns the results of the named function for a tensor's values. Returns an empty vector if the tensor is not on a
// GPU, or if the library is not installed or does not support the call; the caller then computes the function on the
// host.
inline std::vector<Tensor> by_array_library(const char* name, const Tensor& t, const std::vector<int64_t>& numbers) {
  if (!runs_on_gpu(t) || !array_function || t.numel() == 0) return {};
  return array_function(name, t, numbers);
}

}  // namespace flambeau::cuda
