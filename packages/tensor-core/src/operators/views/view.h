// Creation and recording of views.
#pragma once

#include "flambeau/operators.h"

namespace flambeau {

// `offset` and `strides` are counted in elements of `dtype`.
Tensor make_view(const Tensor& t, const Shape& shape, const Shape& strides, int64_t offset, Dtype dtype);
inline Tensor make_view(const Tensor& t, const Shape& shape, const Shape& strides, int64_t offset) {
  return make_view(t, shape, strides, offset, t.dtype());
}

// Records a view of `input`. derivative(gradient of the view) must return the gradient of `input`. Views of tensors of
// inference mode are not recorded, because they have no graph.
template <class F>
Tensor recorded(const char* name, const Tensor& input, Tensor view, F&& derivative) {
  if (recording(input) && !view.storage().inference())
    record(
        name, view, {&input}, {}, [derivative](const Context& c) { c.set(0, derivative(c.gradient())); },
        Recording::kView);
  return view;
}

}  // namespace flambeau
