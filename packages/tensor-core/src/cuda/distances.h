// Distances between rows on a GPU: x (batch, n, m) and y (batch, k, m), all contiguous float32 or float64.
#pragma once

#include "flambeau/cuda.h"

namespace flambeau::cuda {

void distances(const Tensor& out, const Tensor& x, const Tensor& y, double p);  // (batch, n, k)
// Computes the gradient of x from the gradient of the distances.
void distance_slopes(const Tensor& out, const Tensor& x, const Tensor& y, const Tensor& grad, const Tensor& distances,
                     double p);

}  // namespace flambeau::cuda
