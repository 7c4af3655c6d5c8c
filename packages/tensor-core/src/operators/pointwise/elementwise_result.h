// The shape and the layout of an elementwise operator's result.
#pragma once

#include "flambeau/memory_format.h"
#include "flambeau/pointwise.h"

namespace flambeau {

inline Shape shape_of(const Operand* operands, int count) {
  Shape shape;
  bool any = false;
  for (int k = 0; k < count; ++k)
    if (const Tensor* t = operands[k].tensor) {
      if (!any)
        shape = t->shape();
      else if (!(shape == t->shape()))
        shape = broadcast(shape, t->shape());
      any = true;
    }
  return shape;
}

// A result lies in memory as its first operand does, if no other of that size disagrees.
inline bool keeps_order(const Operand* operands, int count, const Shape& shape) {
  const Tensor* first = operands[0].tensor;
  if (!first || first->is_contiguous() || !(first->shape() == shape)) return false;
  bool agree = true;
  for (int k = 1; k < count; ++k)
    if (const Tensor* t = operands[k].tensor) agree &= t->numel() < first->numel() || t->strides() == first->strides();
  return agree;
}

inline Tensor new_result(const Operand* operands, int count, Dtype dtype) {
  const Tensor* first = operands[0].tensor;
  const bool same =
      first && (count == 1 || (count == 2 && (!operands[1].tensor || operands[1].tensor->shape() == first->shape())));
  if (FLAMBEAU_LIKELY(same && first->is_contiguous())) return empty(first->shape(), dtype);
  const Shape shape = same ? first->shape() : shape_of(operands, count);
  if (!keeps_order(operands, count, shape)) return empty(shape, dtype);
  return empty_strided(shape, strides_like(*first, MemoryFormat::Preserve), dtype);
}

}  // namespace flambeau
