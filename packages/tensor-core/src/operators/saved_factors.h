// The tensors that a product saves for its derivative.
#pragma once

#include "flambeau/autograd.h"

namespace flambeau {

// Returns `factor`, which the gradient of `other` is computed from, or an undefined tensor if `other` needs no
// gradient. A factor that is not saved uses no memory after the call, and may be changed in place.
inline const Tensor& saved_factor(const Tensor& factor, const Tensor& other) {
  static const Tensor none;
  return recording(other) ? factor : none;
}

}  // namespace flambeau
