// The geometry of a view relative to its base. This header is not installed.
#pragma once

#include "node.h"

namespace flambeau::autograd {

// The shapes and strides of a view and its base. A view can be real for a complex base (real and imaginary parts), or
// complex for a real base (pairs of numbers). Gradients and tangents store complex numbers in the same layout, so the
// same view can be taken of them.
struct ViewGeometry {
  Shape base_shape, base_strides, shape, strides;
  int64_t offset;  // in elements of the view
  Dtype base_dtype, dtype;

  static ViewGeometry of(const Tensor& view, const Tensor& base);
  Tensor base_zeros() const;  // returns zeros with the memory layout of the base (which need not be contiguous)
  // Returns the gradient of the base for the gradient of the view. If elements of the view share memory, their
  // gradients are added.
  Tensor base_gradient(const Tensor& gradient) const;
  // Returns a copy of a tensor with the shape of the base, in the memory layout of the base.
  Tensor base_copy(const Tensor& gradient) const;
  // Returns the view of `whole`, a tensor with the memory layout of the base.
  Tensor part_of(const Tensor& whole) const;

 private:
  bool may_share_memory() const;  // returns true if elements of the view may share memory
  // Returns a view of contiguous memory that is complex if the view is complex, otherwise real.
  Tensor reinterpreted(const Tensor& root) const;
};

}  // namespace flambeau::autograd
