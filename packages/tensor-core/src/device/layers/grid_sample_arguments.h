// Arguments of the kernels of sampling. Host and device code include this file.
#pragma once

#include "flambeau/kernels/grid_points.h"

namespace flambeau::cuda {

// Taps lie one after the other, each of all points of the batch.
struct GridArguments {
  kernels::Sampling sampling;
  int64_t batch, channels, points, places;  // points of a grid, places of an image
  const void* grid;                         // (batch, points, dims)
  int32_t* index;                           // (taps, batch, points), -1 beyond the image
  void *weight, *slope;                     // the same, and (dims, taps, batch, points); slope null if not wanted
  const void *image, *grad;                 // (batch, channels, places), (batch, channels, points)
  void* out;                                // like grad, or like the grid
};

}  // namespace flambeau::cuda
