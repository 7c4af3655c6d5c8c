// Sums, means and maxima of bags of a table's rows, on a GPU.
#pragma once

#include "device/layers/bags_arguments.h"
#include "flambeau/tensor.h"

namespace flambeau::cuda {

// Computes the outputs that the arguments describe. The function sets the reporter of `a`, and the caller sets all
// other members. An invalid index raises IndexError at a later synchronisation.
void fill_bags(int device, Dtype dtype, BagArguments a);

}  // namespace flambeau::cuda
