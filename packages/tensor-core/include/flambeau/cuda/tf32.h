// The precision of float32 products, convolutions and attention on GPUs.
#pragma once

#include "flambeau/macros.h"

namespace flambeau::cuda {

// Allows products, convolutions and attention to round their operands to ten bits of mantissa (TF32). Default: not
// allowed.
FLAMBEAU_API void allow_tf32(bool allowed);
FLAMBEAU_API bool tf32_allowed();

}  // namespace flambeau::cuda
