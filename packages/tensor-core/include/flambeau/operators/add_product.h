// What addmm and its relatives are: a product of matrices and a summand, each with its factor.
#pragma once

#include "flambeau/operators.h"

namespace flambeau {

// beta * input + alpha * product(a, b) in their common dtype. Half types are computed in float32 and rounded once;
// integers take the integer parts of the factors. What is multiplied by no beta is not read. `name` is for errors.
FLAMBEAU_API Tensor add_product(const char* name, const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta,
                                Scalar alpha, Tensor (*product)(const Tensor&, const Tensor&));

}  // namespace flambeau
