// The smallest and the largest element of all or along a dimension, in this order.
#pragma once

#include <optional>

#include "flambeau/operators.h"

namespace flambeau {

FLAMBEAU_API TensorPair aminmax(const Tensor& t, std::optional<int64_t> dim, bool keepdim);

}  // namespace flambeau
