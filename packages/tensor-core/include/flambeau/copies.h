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
FLAMBEAU_API void copy_values(const Tensor& destination, const Tensor& source);  // not recorded, version unchanged
// Raises an error if `written` and `read` are known to share memory. `partly`: unless they are identical views.
FLAMBEAU_API void refuse_overlap(const Tensor& written, const Tensor& read, bool partly = false);
FLAMBEAU_API void resize(const Tensor& t, const Shape& shape);                        // for out=
FLAMBEAU_API void resize(const Tensor& t, const Shape& shape, const Shape& strides);  // to a contiguous layout

}  // namespace flambeau
