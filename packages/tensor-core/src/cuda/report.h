// What kernels report: an index out of range. A kernel that meets one writes it here, goes on with index 0, and whoever
// waits for the GPU next raises it with the name of the operator.
#pragma once

#include "flambeau/device/report.h"

namespace flambeau::cuda {

// For the arguments of a launch: where the kernel may report, and the number by which the operator is named.
Reporter reporter(int device);
// Raises IndexError for what has been reported, once.
void raise_reports(int device);

}  // namespace flambeau::cuda
