// Derivatives of operators whose values are elements of their input. Internal.
#pragma once

#include "flambeau/operators.h"

namespace flambeau {

// Of values picked at indices along a dimension: the gradient goes back to where they came from.
inline void record_chosen(const char* name, const TensorPair& chosen, const Tensor& t, int64_t dim, bool keepdim) {
  if (!recording(t)) return;
  record(name, {&chosen.values}, {&t}, {&chosen.indices}, [shape = t.shape(), dim, keepdim](const Context& c) {
    if (shape.empty()) return c.set(0, c.gradient());
    const Tensor g = keepdim ? c.gradient() : unsqueeze(c.gradient(), dim),
                 i = keepdim ? c.saved(0) : unsqueeze(c.saved(0), dim);
    c.set(0, scatter_add(zeros(shape, g.dtype()), dim, i, g, Write::InPlace));
  });
}

// Of one value for the elements of each slice: the gradient is shared evenly among those equal to it. `kept` is the
// shape of the values with the reduced dimensions as 1.
inline void record_shared(const char* name, const Tensor& value, const Tensor& t, const Shape& kept) {
  record(name, value, {&t}, {&t, &value}, [kept](const Context& c) {
    const Tensor x = detach(c.saved(0)), v = reshape(detach(c.saved(1)), kept);
    const Tensor mask = to(logical_or(eq(x, v), logical_and(isnan(x), isnan(v))), c.gradient().dtype());
    c.set(0, mask * (reshape(c.gradient(), kept) / sum_to(mask, kept)));
  });
}

}  // namespace flambeau
