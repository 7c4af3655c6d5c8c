// Arguments of the kernels of batch and group normalisation. Host and device code include this file.
#pragma once

#include "device/elementwise/pointwise_arguments.h"

namespace flambeau::cuda {

struct ChannelArguments {
  int64_t count;
  const char *in, *grad;  // grad: of the derivative
  char* out;
  const char *statistics, *weight, *bias, *grads, *products;  // of groups, and of channels; what is null is left out
  int64_t inner_size, channel_count, members;  // channels of a group; 0: a group is a channel of all samples
  Divider inner, channels, members_divider;    // the same numbers, if there are fewer than 2**31 elements
  int small, whole;  // small: there are fewer; whole: each pack is aligned and within one channel
};

}  // namespace flambeau::cuda
