// Views with another shape and other strides. They are not recorded.
#pragma once

#include <utility>

#include "flambeau/tensor.h"

namespace flambeau::cuda {

inline Tensor view_of(const Tensor& t, const Shape& shape, const Shape& strides, int64_t offset) {
  return from_storage(t.impl()->storage, shape, strides, offset, t.dtype());
}
inline Tensor narrowed(const Tensor& t, int64_t dim, int64_t start, int64_t length) {
  Shape shape = t.shape();
  shape[size_t(dim)] = length;
  return view_of(t, shape, t.strides(), t.offset() + start * t.stride(dim));
}
inline Tensor permuted(const Tensor& t, const Shape& dims) {
  Shape shape = t.shape(), strides = t.strides();
  for (size_t i = 0; i < dims.size(); ++i) {
    shape[i] = t.shape()[size_t(dims[i])];
    strides[i] = t.strides()[size_t(dims[i])];
  }
  return view_of(t, shape, strides, t.offset());
}
inline Tensor transposed(const Tensor& t, int64_t dim, int64_t other) {
  Shape shape = t.shape(), strides = t.strides();
  std::swap(shape[size_t(dim)], shape[size_t(other)]);
  std::swap(strides[size_t(dim)], strides[size_t(other)]);
  return view_of(t, shape, strides, t.offset());
}
inline Tensor reshaped(const Tensor& contiguous, const Shape& shape) {
  return view_of(contiguous, shape, contiguous_strides(shape), contiguous.offset());
}

}  // namespace flambeau::cuda
