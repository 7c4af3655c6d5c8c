// Parts of scatter that scatter_reduce also uses.
#pragma once

#include "flambeau/operators.h"

namespace flambeau {

struct Scatter {
  int64_t dim;
  Tensor index;
};
// Checks all arguments before anything is written. `source` is null if the source is a number.
Scatter checked_scatter(const Tensor& t, int64_t dim, const Tensor& index, const Tensor* source, const char* name);
// These functions set out[index] to combine(out[index], value) for each entry, in the order of the index.
void store_source(const Tensor& out, const Scatter& s, const Tensor& source, Combine c);
void store_value(const Tensor& out, const Scatter& s, Scalar value, Combine c);

// shrunk() returns the leading part of t with the given shape. grown() pads t with zeros at the ends to the given
// shape.
Tensor shrunk(Tensor t, const Shape& shape);
Tensor grown(const Tensor& t, const Shape& shape);

}  // namespace flambeau
