// Gradients of scaled dot-product attention, on the CPU and on a GPU.
#pragma once

#include "flambeau/tensor.h"

namespace flambeau {

struct AttentionGradients {
  Tensor query, key, value;
};

}  // namespace flambeau
