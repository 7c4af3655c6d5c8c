// Arguments of the kernels of max pools and of resampling. Host and device code include this file. Depth, height and
// width.
#pragma once

#include "device/elementwise/pointwise_arguments.h"

namespace flambeau::cuda {

// Windows of equal size, or (adaptive) those that share an image out evenly.
struct PoolWindows {
  int64_t size[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
  bool adaptive;
};

struct MaxPoolArguments {
  PoolWindows windows;
  const char* input;  // of the derivative: its gradient in the output
  char* out;
  int64_t* indices;
  int64_t count;     // of what is written
  Divider by[3];     // its sizes
  Divider steps[3];  // strides; of adaptive windows the image's sizes
  // Of fractional pools, whose windows are of equal size and lie where uniform numbers say: those of each plane, its
  // last dimension's first where `turned`. Null: other pools.
  const double* samples;
  int64_t sampled_dims;
  bool turned;
};

// Sparse matrices along three dimensions. Row o has the taps [ends[o - 1], ends[o]); ends is null for a dimension that
// is not resampled.
struct ResampleArguments {
  struct Axis {
    const int64_t* ends;
    const int32_t* index;
    const char* weight;
    int64_t size;
  } axes[3];
  const char* input;
  char* out;
  int64_t count;
  Divider by[3];
};

}  // namespace flambeau::cuda
