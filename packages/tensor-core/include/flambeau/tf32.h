// The precision of float32 products on GPUs.
#pragma once

#include "flambeau/macros.h"

namespace flambeau::cuda {

// Whether products of float32 may round their operands to ten bits of mantissa (TF32) first; not at first.
FLAMBEAU_API void allow_tf32(bool allowed);

}  // namespace flambeau::cuda
