// Operators on gradients for which Python answers.
#pragma once

#include <functional>

#include "flambeau/tensor.h"

namespace flambeau {

// The engine's operators on gradients for which a class or a mode with __torch_dispatch__ answers. The bindings of
// Python set the pointer when the first such class or mode is used; until then it is null.
struct DispatchedGradients {
  bool (*is_instance)(const Tensor& t);  // of a class with __torch_dispatch__; false of an undefined tensor
  bool (*answers)(const Tensor& t);      // that, or a mode is entered in this thread
  Tensor (*add)(const Tensor& a, const Tensor& b);
  Tensor (*clone)(const Tensor& t);
  Tensor (*detach)(const Tensor& t);
  Tensor (*ones_like)(const Tensor& t);
  Tensor (*sum_to)(const Tensor& t, const Shape& shape);
  Tensor (*to)(const Tensor& t, Dtype dtype);
  // Computes results from gradients, some of which are instances, by a derivative of C++: run(gradients, results) is
  // called with the tensors that the classes put in their place.
  void (*apply)(const char* name, const Tensor* gradients, size_t gradient_count, Tensor* results, size_t result_count,
                const std::function<void(const Tensor* gradients, Tensor* results)>& run);
};
FLAMBEAU_API extern const DispatchedGradients* dispatched_gradients;

}  // namespace flambeau
