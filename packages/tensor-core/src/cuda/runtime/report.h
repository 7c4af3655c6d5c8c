// Errors of kernels: an index out of range, or an invalid parameter of a distribution. A kernel writes the error here
// and continues with index 0 or any sample. The next synchronisation raises it with the name of the operator.
#pragma once

#include "device/threads/report.h"

namespace flambeau::cuda {

// For the arguments of a launch: where the kernel may report, and the number by which the operator is named.
Reporter reporter(int device);
// Raises what has been reported, once: IndexError, or what the CPU raises for such arguments.
void raise_reports(int device);

}  // namespace flambeau::cuda
