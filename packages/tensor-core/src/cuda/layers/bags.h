// Bags of a table's rows on a GPU.
#pragma once

#include "device/layers/bags_arguments.h"
#include "flambeau/tensor.h"

namespace flambeau::cuda {

// Fills what the arguments point to, which are complete but for the reporter. IndexError at a later synchronisation for
// an index of no row.
void fill_bags(int device, Dtype dtype, BagArguments a);

}  // namespace flambeau::cuda
