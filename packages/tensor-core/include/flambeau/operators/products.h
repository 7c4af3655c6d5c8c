// Operators that combine matrix products and multiplications.
#pragma once

#include "flambeau/operators.h"

namespace flambeau {

// Products of vectors, and of a matrix with a vector (operators/products/vector_products.cpp). matmul calls them.
FLAMBEAU_API Tensor dot(const Tensor& a, const Tensor& b);
FLAMBEAU_API Tensor mv(const Tensor& matrix, const Tensor& vector);

// operators/products/products.cpp
FLAMBEAU_API Tensor inner(const Tensor& a, const Tensor& b);
FLAMBEAU_API Tensor outer(const Tensor& a, const Tensor& b);
FLAMBEAU_API Tensor addr(const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha);
FLAMBEAU_API Tensor kron(const Tensor& a, const Tensor& b);
// Contracts the dimensions `first` of a with `second` of b, in the same order. A size of 1 is broadcast.
FLAMBEAU_API Tensor tensordot(const Tensor& a, const Tensor& b, const Shape& first, const Shape& second);
FLAMBEAU_API Tensor bilinear(const Tensor& x1, const Tensor& x2, const Tensor& weight, const Tensor& bias);
// Multiplies matrices in the order with the fewest multiplications. The first and the last factor may be vectors.
FLAMBEAU_API Tensor multi_dot(const Tensors& factors);

}  // namespace flambeau
