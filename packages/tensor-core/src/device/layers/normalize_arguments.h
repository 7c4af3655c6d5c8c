// What the kernels of batch and group normalisation are told; both sides include this.
#pragma once

#include "device/elementwise/pointwise_arguments.h"

namespace flambeau::cuda {

struct ChannelArguments {
  int64_t count;
  const char *in, *grad;  // grad: of the derivative
  char* out;
  const char *statistics, *weight, *bias, *grads, *products;  // of groups, and of channels; what is null is left out
  int64_t inner_size, channel_count, members;  // channels of a group; 0: a group is a channel of all samples
  Divider inner, channels, members_divider;    // the same numbers, where there are fewer than 2**31 elements
  int small, whole;                            // whether there are; whether packs are one channel's and aligned
};

}  // namespace flambeau::cuda
