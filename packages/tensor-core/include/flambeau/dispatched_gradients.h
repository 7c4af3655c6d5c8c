// Operators on gradients that Python classes and modes can override.
#pragma once

#include <functional>

#include "flambeau/tensor.h"

namespace flambeau {

// The engine's operators on gradients for classes and modes with __torch_dispatch__. The bindings set the pointer when
// the first such class or mode is used; until then it is null.
struct DispatchedGradients {
  bool (*is_instance)(const Tensor& t);  // returns true for an instance of a class with __torch_dispatch__
  bool (*answers)(const Tensor& t);      // returns true for an instance, or if a mode is active in this thread
  Tensor (*add)(const Tensor& a, const Tensor& b);
  Tensor (*clone)(const Tensor& t);
  Tensor (*detach)(const Tensor& t);
  Tensor (*ones_like)(const Tensor& t);
  Tensor (*sum_to)(const Tensor& t, const Shape& shape);
  Tensor (*to)(const Tensor& t, Dtype dtype);
  // Applies a C++ derivative to gradients, some of which are instances of classes with __torch_dispatch__. Calls
  // run(gradients, results) with the tensors that the classes substitute for their instances.
  void (*apply)(const char* name, const Tensor* gradients, size_t gradient_count, Tensor* results, size_t result_count,
                const std::function<void(const Tensor* gradients, Tensor* results)>& run);
};
FLAMBEAU_API extern const DispatchedGradients* dispatched_gradients;

}  // namespace flambeau
