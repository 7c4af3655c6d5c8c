// What operators do on a GPU, a function for each family of kernels: they are called where cuda::takes(result) says so,
// with everything checked and the result made. Internal to the library.
#pragma once

#include "flambeau/cuda.h"
#include "flambeau/pointwise.h"

namespace flambeau::cuda {

// Elements of one tensor to another, of any dtype, layout and device, of which one is CUDA; false where that is to be
// done on the host (copy.cpp).
bool copy(const Tensor& destination, const Tensor& source);
void fill(const Tensor& t, Scalar value);
bool waits(const Storage& host);  // whether a copy from or to it is done before the call returns (pinned.cpp)
Scalar item(const Tensor& t);     // of one element

// A row's value, or its derivative for an operand: over grad and what that reads (pointwise.cpp).
inline constexpr int kValue = -1;
void pointwise(PointwiseOp op, int derivative, const Tensor& out, Dtype from, const Operand* operands, int count,
               Dtype in);

// out = a * b, of matrices or of batches of them, in the operands' dtype; `bias`, where it is defined, is added to every
// row. Halves are accumulated in float32. (product.cpp)
void multiply(const Tensor& out, const Tensor& a, const Tensor& b, const Tensor& bias = Tensor());

}  // namespace flambeau::cuda
