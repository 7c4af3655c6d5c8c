// Distances between the rows of x (batch, n, m) and the rows of y (batch, k, m) on a GPU. All tensors are contiguous
// float32 or float64.
#pragma once

#include "flambeau/cuda.h"

namespace flambeau::cuda {

void distances(const Tensor& out, const Tensor& x, const Tensor& y, double p);  // out: (batch, n, k)
// Computes the gradient of x. `grad` is the gradient of `distances`, (batch, n, k).
void distance_slopes(const Tensor& out, const Tensor& x, const Tensor& y, const Tensor& grad, const Tensor& distances,
                     double p);

}  // namespace flambeau::cuda
