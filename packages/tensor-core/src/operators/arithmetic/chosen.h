// Derivatives of operators that select elements of their input.
#pragma once

#include "flambeau/operators.h"

namespace flambeau {

// Records the derivative of values that were selected at indices along a dimension. The derivative scatters the
// gradient to the positions of these values.
inline void record_chosen(const char* name, const TensorPair& chosen, const Tensor& t, int64_t dim, bool keepdim) {
  if (!recording(t)) return;
  record(name, {&chosen.values}, {&t}, {&chosen.indices}, [shape = t.shape(), dim, keepdim](const Context& c) {
    if (shape.empty()) return c.set(0, c.gradient());
    const Tensor g = keepdim ? c.gradient() : unsqueeze(c.gradient(), dim),
                 i = keepdim ? c.saved(0) : unsqueeze(c.saved(0), dim);
    c.set(0, scatter_add(zeros(shape, g.dtype()), dim, i, g, Write::InPlace));
  });
}

// Returns the gradient of a reduction that selects one value of each slice, such as amax. The gradient is divided
// evenly among the elements of the slice that are equal to the value. The reduced dimensions of `grad` and `value` have
// size 1.
inline Tensor shared_gradient(const Tensor& grad, const Tensor& x, const Tensor& value) {
  const Tensor elements = detach(x), v = detach(value);
  const Tensor mask = to(logical_or(eq(elements, v), logical_and(isnan(elements), isnan(v))), grad.dtype());
  return mask * (grad / sum_to(mask, v.shape()));
}

}  // namespace flambeau
