// Arguments of the kernels of distances. Host and device code include this file.
#pragma once

#include <cstdint>

namespace flambeau::cuda {

inline constexpr int kDistanceTile = 16;  // rows and columns per block

// Arguments for x (batch, n, m) and y (batch, k, m).
struct DistanceArguments {
  const void *x, *y;
  void* out;                     // (batch, n, k), or the gradient with respect to x, (batch, n, m)
  const void *grad, *distances;  // (batch, n, k); used only for the derivative
  int64_t batch, n, k, m;
  double p;
};

}  // namespace flambeau::cuda
