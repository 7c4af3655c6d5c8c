// addmm and similar operators: a matrix product and a summand, each with a factor.
#pragma once

#include "flambeau/operators.h"

namespace flambeau {

// beta * input + alpha * product(a, b) in their common dtype. Half-precision dtypes are computed in float32 and rounded
// once. For integers the factors are truncated. With beta = 0, input is not read. `name` is for error messages.
FLAMBEAU_API Tensor add_product(const char* name, const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta,
                                Scalar alpha, Tensor (*product)(const Tensor&, const Tensor&));

}  // namespace flambeau
