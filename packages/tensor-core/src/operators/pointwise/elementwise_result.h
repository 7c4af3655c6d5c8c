// Shape and memory layout of the result of an elementwise operator.
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

// Returns true if elements of the tensor share memory, as in an expanded tensor.
inline bool repeats(const Tensor& t) {
  for (int d = 0; d < t.dim(); ++d)
    if (t.strides()[d] == 0 && t.shape()[d] > 1) return true;
  return false;
}

// Returns the tensor that determines the memory layout of the result: the first operand with the shape of the result,
// preferably one that does not repeat elements. Returns null if the layout is row-major.
inline const Tensor* order_of(const Operand* operands, int count, const Shape& shape) {
  const Tensor* repeating = nullptr;
  for (int k = 0; k < count; ++k)
    if (const Tensor* t = operands[k].tensor; t && t->shape() == shape) {
      if (t->is_contiguous()) return nullptr;
      if (!repeats(*t)) return t;
      if (!repeating) repeating = t;
    }
  return repeating;
}

inline Tensor new_result(const Operand* operands, int count, Dtype dtype) {
  const Tensor* first = operands[0].tensor;
  const bool same =
      first && (count == 1 || (count == 2 && (!operands[1].tensor || operands[1].tensor->shape() == first->shape())));
  if (FLAMBEAU_LIKELY(same && first->is_contiguous())) return empty(first->shape(), dtype);
  const Shape shape = same ? first->shape() : shape_of(operands, count);
  const Tensor* const model = order_of(operands, count, shape);
  return model ? empty_strided(shape, strides_like(*model, MemoryFormat::Preserve), dtype) : empty(shape, dtype);
}

}  // namespace flambeau
