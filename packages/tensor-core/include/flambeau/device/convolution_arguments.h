// What the kernels of convolutions are told; both sides include this.
#pragma once

#include "flambeau/device/pointwise_arguments.h"
#include "flambeau/device/tile_arguments.h"

namespace flambeau::cuda {

// Depth, height and width in every array. A division's batch goes over the groups.
struct ConvolutionArguments {
  Division division;
  char* partial;
  const char *input, *weight, *grad, *bias;  // those that the function reads
  char* out;
  int64_t groups, channels, filters;  // of the latter as many as one group has
  int64_t size[3], positions[3];      // of the input and of the output
  int64_t stride[3], padding[3], dilation[3];
  int64_t area, volume, places;                 // products of the kernel's, the input's and the output's sizes
  Divider by_area, by_plane, by_row;            // of a tap's number: the kernel's area, height * width, width
  Divider by_places, by_out_plane, by_out_row;  // of a place's number in a batch of outputs
  Divider by_stride[3];
};

}  // namespace flambeau::cuda
