// Arguments of the kernels of batch and group normalisation. Host and device code include this file.
#pragma once

#include "device/elementwise/pointwise_arguments.h"

namespace flambeau::cuda {

struct ChannelArguments {
  int64_t count;
  const char *in, *grad;  // grad: null in the forward pass
  char* out;
  // `statistics`, `grads` and `products` have one value per group; the others have one value per channel. If a pointer
  // is null, its term is omitted.
  const char *statistics, *weight, *bias, *grads, *products;
  double share;                                // ChannelNumbers::share
  int64_t inner_size, channel_count, members;  // members: channels of a group; 0: a group is a channel of all samples
  Divider inner, channels, members_divider;    // the three numbers above, for tensors of fewer than 2**31 elements
  int small, whole;  // small: there are fewer than 2**31 elements; whole: each pack is aligned and within one channel
};

}  // namespace flambeau::cuda
