// Arguments of the kernels of convolutions. Host and device code include this file.
#pragma once

#include "device/elementwise/pointwise_arguments.h"
#include "device/linalg/tile_arguments.h"

namespace flambeau::cuda {

// Positions in a sequence of boxes are numbered box by box. Divisions by the numbers of positions in a box, in a plane
// and in a row yield the coordinates of a position. Here and below, arrays contain depth, height and width.
struct Box {
  int32_t size[3];
  Divider by_box, by_plane, by_row;
};

// `division` treats the groups as its batch.
struct ConvolutionArguments {
  Division division;
  char* partial;
  const char *input, *weight, *grad, *bias;  // null if the function does not read the tensor
  char* out;
  int64_t groups, channels, filters;  // channels and filters of one group
  int64_t area, volume, positions;    // number of positions of the kernel, the input and the output
  int32_t size[3], stride[3], padding[3], dilation[3];
  Box taps, outputs;  // positions of the kernel and of the output
  Divider inner;      // number of elements per tap: channels, or filters
  Divider by_stride[3];
};

}  // namespace flambeau::cuda
