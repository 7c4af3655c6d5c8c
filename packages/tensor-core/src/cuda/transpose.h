// Copies between transposed layouts on a GPU.
#pragma once

#include "device/elementwise/transpose_arguments.h"
#include "flambeau/tensor.h"

namespace flambeau::cuda {

// Copies elements between two matrices, one of which is transposed (geometry.h). Elements are converted to the dtype
// `through` and then to `to`.
void copy_transposed(int device, const TransposeArguments& a, Dtype through, Dtype to, Dtype from);

}  // namespace flambeau::cuda
