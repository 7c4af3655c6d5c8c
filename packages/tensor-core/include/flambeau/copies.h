// Copies, conversions and fills.
#pragma once

#include "flambeau/tensor.h"

namespace flambeau {

FLAMBEAU_API Tensor to(const Tensor& t, Dtype dtype);    // returns t itself if it has that dtype
FLAMBEAU_API Tensor to(const Tensor& t, Device device);  // returns t itself if it is on that device
FLAMBEAU_API Tensor clone(const Tensor& t);
FLAMBEAU_API Tensor contiguous(const Tensor& t);
FLAMBEAU_API Tensor detach(const Tensor& t);
FLAMBEAU_API Tensor copy_(const Tensor& self, const Tensor& source);
FLAMBEAU_API Tensor fill_(const Tensor& self, Scalar value);
// Copies elements without recording the operation or increasing the version.
FLAMBEAU_API void copy_values(const Tensor& destination, const Tensor& source);
// Raises an error if `written` and `read` are known to share memory. With `partly`, identical views are allowed.
FLAMBEAU_API void reject_overlap(const Tensor& written, const Tensor& read, bool partly = false);
// Resize the tensor of an out= argument. `strides` must have no gaps; without them, the result is contiguous.
FLAMBEAU_API void resize(const Tensor& t, const Shape& shape);
FLAMBEAU_API void resize(const Tensor& t, const Shape& shape, const Shape& strides);

}  // namespace flambeau
