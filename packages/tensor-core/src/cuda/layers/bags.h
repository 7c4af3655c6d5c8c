// Bags of a table's rows on a GPU.
#pragma once

#include "device/layers/bags_arguments.h"
#include "flambeau/tensor.h"

namespace flambeau::cuda {

// Computes the outputs of the arguments, which are complete except for the reporter. An invalid index raises IndexError
// at a later synchronisation.
void fill_bags(int device, Dtype dtype, BagArguments a);

}  // namespace flambeau::cuda
