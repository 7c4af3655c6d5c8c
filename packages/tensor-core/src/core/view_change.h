// Checks before another shape replaces that of a tensor. Internal.
#pragma once

#include "flambeau/tensor.h"

namespace flambeau {

// Raises an error if the shape of `self` must not be changed in place.
void begin_view_change(const Tensor& self);

}  // namespace flambeau
