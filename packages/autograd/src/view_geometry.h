// Location of a view in its base.
#pragma once

#include "node.h"

namespace flambeau::autograd {

// The view may show the parts of a complex base as real numbers, or pairs of a real base as complex numbers. Complex
// gradients and tangents have the same layout, so they are viewed in the same way.
struct ViewGeometry {
  Shape base_shape, base_strides, shape, strides;
  int64_t offset;  // in elements of the view
  Dtype base_dtype, dtype;

  static ViewGeometry of(const Tensor& view, const Tensor& base);
  Tensor base_zeros() const;  // returns zeros with the memory layout of the base (which need not be contiguous)
  // Returns a copy of a tensor of the base's shape, with the memory layout of the base
  Tensor base_copy(const Tensor& gradient) const;
  Tensor part_of(const Tensor& whole) const;  // returns the view's part of a tensor with the memory layout of the base

 private:
  Tensor reinterpreted(const Tensor& root) const;  // views contiguous memory as real or complex, like the view
};

}  // namespace flambeau::autograd
