// Arguments of the kernels of sampling. Host and device code include this file.
#pragma once

#include "flambeau/kernels/grid_points.h"

namespace flambeau::cuda {

// Arrays of taps are ordered by tap, then by sample and point.
struct GridArguments {
  kernels::Sampling sampling;
  int64_t batch, channels, points, pixels;  // points of a grid, pixels of an image
  const void* grid;                         // (batch, points, dims)
  int32_t* index;                           // (taps, batch, points); -1 outside the image
  void *weight, *slope;      // (taps, batch, points); (dims, taps, batch, points), null if no gradient is needed
  const void *image, *grad;  // (batch, channels, pixels), (batch, channels, points)
  void* out;                 // with the shape of grad, or of the grid
};

}  // namespace flambeau::cuda
