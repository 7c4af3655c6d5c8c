// Arguments of the kernels of convolutions. Host and device code include this file.
#pragma once

#include "device/elementwise/pointwise_arguments.h"
#include "device/linalg/tile_arguments.h"

namespace flambeau::cuda {

// Depth, height and width in every array. Places in a row of boxes are numbered one box after the other.
struct Box {
  int32_t size[3];
  Divider by_box, by_plane, by_row;
};

// A division's batch goes over the groups.
struct ConvolutionArguments {
  Division division;
  char* partial;
  const char *input, *weight, *grad, *bias;  // those that the function reads
  char* out;
  int64_t groups, channels, filters;  // of the latter as many as one group has
  int64_t area, volume, places;       // products of the kernel's, the input's and the output's sizes
  int32_t size[3], stride[3], padding[3], dilation[3];
  Box taps, outputs;  // the kernel's and the output's places
  Divider inner;      // what k goes through at each place of the kernel: channels, or filters
  Divider by_stride[3];
};

}  // namespace flambeau::cuda
