// The argument out=, which receives the result of an operator.
#pragma once

#include "flambeau/tensor.h"

namespace flambeau {

// Issues a warning if `out` has elements and a shape that differs from that of the result. It is then resized.
FLAMBEAU_API void warn_if_resized(const Tensor& out, const Shape& result);

}  // namespace flambeau
