// The engine's operators on gradients, which a class or a mode with __torch_dispatch__ can override. This header is
// not installed.
#pragma once

#include "flambeau/dispatched_gradients.h"
#include "flambeau/memory_format.h"
#include "node.h"

namespace flambeau::autograd {

inline bool is_dispatched_instance(const Tensor& t) {
  return FLAMBEAU_UNLIKELY(dispatched_gradients) && dispatched_gradients->is_instance(t);
}
inline bool is_dispatched(const Tensor& t) {
  return FLAMBEAU_UNLIKELY(dispatched_gradients) && dispatched_gradients->answers(t);
}

inline Tensor sum_of(const Tensor& a, const Tensor& b) {
  return is_dispatched(a) || is_dispatched(b) ? dispatched_gradients->add(a, b) : add(a, b);
}
inline Tensor summed_to(const Tensor& t, const Shape& shape) {
  return is_dispatched(t) ? dispatched_gradients->sum_to(t, shape) : sum_to(t, shape);
}
inline Tensor converted(const Tensor& t, Dtype dtype) {
  return is_dispatched(t) ? dispatched_gradients->to(t, dtype) : to(t, dtype, MemoryFormat::Preserve);
}

}  // namespace flambeau::autograd
