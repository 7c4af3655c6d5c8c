// The argument out=, which receives the result of an operator.
#pragma once

#include "flambeau/tensor.h"

namespace flambeau {

// Issues a warning if `out` has elements and a shape other than `result`, so that the operator must resize `out`.
FLAMBEAU_API void warn_if_resized(const Tensor& out, const Shape& result);

}  // namespace flambeau
