// Products of tensors made of matrix products and multiplications.
#pragma once

#include "flambeau/operators.h"

namespace flambeau {

// Of vectors, and of a matrix with a vector (operators/products/vector_products.cpp); matmul comes down to them.
FLAMBEAU_API Tensor dot(const Tensor& a, const Tensor& b);
FLAMBEAU_API Tensor mv(const Tensor& matrix, const Tensor& vector);

// operators/products/products.cpp
FLAMBEAU_API Tensor inner(const Tensor& a, const Tensor& b);
FLAMBEAU_API Tensor outer(const Tensor& a, const Tensor& b);
FLAMBEAU_API Tensor addr(const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha);
FLAMBEAU_API Tensor kron(const Tensor& a, const Tensor& b);
// Over the dimensions `first` of a and `second` of b, in the same order; a size of 1 is broadcast.
FLAMBEAU_API Tensor tensordot(const Tensor& a, const Tensor& b, const Shape& first, const Shape& second);
FLAMBEAU_API Tensor bilinear(const Tensor& x1, const Tensor& x2, const Tensor& weight, const Tensor& bias);
// Matrices, the first and the last of them perhaps vectors, in the order of the fewest multiplications.
FLAMBEAU_API Tensor multi_dot(const Tensors& factors);

}  // namespace flambeau
