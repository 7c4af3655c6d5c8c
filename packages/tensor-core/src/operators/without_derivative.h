// Operators whose derivative is not implemented.
#pragma once

#include "flambeau/autograd.h"

namespace flambeau {

// Records the operation that computed `outputs` from inputs. If an input requires a gradient, the outputs also require
// one, and a backward pass raises an error. Without the record, it would silently ignore the input.
template <class... Inputs>
void record_without_derivative(const char* name, TensorList outputs, const Inputs&... inputs) {
  if (!recording(inputs...)) return;
  record("NotImplemented", outputs, {&inputs...}, {},
         [name](const Context&) { detail::raise<NotImplementedError>(name, "(): the derivative is not implemented"); });
}

}  // namespace flambeau
