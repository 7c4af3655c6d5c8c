// Arguments of the kernels of max pooling and resampling. Arrays contain depth, height and width. Host and device code
// include this file.
#pragma once

#include "device/elementwise/pointwise_arguments.h"

namespace flambeau::cuda {

// Windows of equal size, or adaptive windows, which divide the image evenly.
struct PoolWindows {
  int64_t size[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
  bool adaptive;
};

inline constexpr int kPixels = 4;  // number of adjacent pixels that a thread of the derivative computes

struct MaxPoolArguments {
  PoolWindows windows;
  const char* input;  // for the derivative: the gradient of the output
  char* out;
  int64_t* indices;
  int64_t count;     // number of threads with results
  Divider by[3];     // sizes of the result; in the derivative, the width is divided by kPixels
  Divider steps[3];  // strides; for adaptive windows, the sizes of the image
  // For fractional pooling, which has windows of equal size at random positions: uniform samples for each plane. If
  // `reversed_samples`, the last dimension's sample is first. Null for other pooling operators.
  const double* samples;
  int64_t sampled_dims;
  bool reversed_samples;
};

// The weights of resampling along each of three dimensions, as sparse matrices. Row o has the taps [ends[o - 1],
// ends[o]). `ends` is null for a dimension that is not resampled.
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
