// Where a view lies in its base.
#pragma once

#include "node.h"

namespace flambeau::autograd {

// The view may show the parts of a complex base as real numbers, or pairs of a real base as complex ones. Gradients and
// tangents of complex numbers have the same layout, so that they are viewed in the same way.
struct Place {
  Shape base_shape, base_strides, shape, strides;
  int64_t offset;  // in elements of the view
  Dtype base_dtype, dtype;

  static Place of(const Tensor& view, const Tensor& base);
  Tensor blank() const;                       // zeros laid out like the base (which need not be contiguous)
  Tensor copy(const Tensor& gradient) const;  // of a tensor of the base's shape, laid out like the base
  Tensor in(const Tensor& whole) const;       // the view's place in a tensor laid out like the base

 private:
  Tensor seen(const Tensor& root) const;  // contiguous memory, as numbers of the view's kind
};

}  // namespace flambeau::autograd
