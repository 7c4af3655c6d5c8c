// Location of a view in its base.
#pragma once

#include "node.h"

namespace flambeau::autograd {

// The shapes and strides of a view and its base. A view may show the real and imaginary parts of a complex base as real
// numbers, or pairs of real numbers as complex ones. Gradients and tangents have the same layout as complex numbers, so
// the same view applies to them.
struct ViewGeometry {
  Shape base_shape, base_strides, shape, strides;
  int64_t offset;  // in elements of the view
  Dtype base_dtype, dtype;

  static ViewGeometry of(const Tensor& view, const Tensor& base);
  Tensor base_zeros() const;  // returns zeros with the memory layout of the base (which need not be contiguous)
  // Returns a copy of a tensor with the shape of the base, in the memory layout of the base.
  Tensor base_copy(const Tensor& gradient) const;
  Tensor part_of(const Tensor& whole) const;  // returns the view's part of a tensor with the memory layout of the base

 private:
  Tensor reinterpreted(const Tensor& root) const;  // views contiguous memory in the dtype of the view
};

}  // namespace flambeau::autograd
