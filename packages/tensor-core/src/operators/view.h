// How a view is made and recorded. Internal.
#pragma once

#include "flambeau/operators.h"

namespace flambeau {

Tensor make_view(const Tensor& t, const Shape& shape, const Shape& strides, int64_t offset);

// Puts the view on the graph; derivative(gradient of the view) is that of `input`.
template <class F>
Tensor recorded(const char* name, const Tensor& input, Tensor view, F&& derivative) {
  if (recording(input))
    record(
        name, view, {&input}, {}, [derivative](const Context& c) { c.set(0, derivative(c.gradient())); },
        Recording::kView);
  return view;
}

}  // namespace flambeau
