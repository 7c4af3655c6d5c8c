// Operators whose derivative is not implemented.
#pragma once

#include "flambeau/autograd.h"

namespace flambeau {

// Records the operation that computed `outputs` from an input. If the input requires a gradient, the outputs do, and a
// backward pass raises an error. Without the record, it would silently ignore the input.
inline void record_without_derivative(const char* name, TensorList outputs, const Tensor& input) {
  if (!recording(input)) return;
  record("NotImplemented", outputs, {&input}, {},
         [name](const Context&) { detail::raise<NotImplementedError>(name, "(): the derivative is not implemented"); });
}

}  // namespace flambeau
