// Errors that kernels report: an index out of range, or an invalid parameter of a distribution. A kernel writes the
// error to memory and continues with index 0 or an arbitrary sample. The next synchronisation raises the error with the
// name of the operator.
#pragma once

#include "device/threads/report.h"

namespace flambeau::cuda {

// Returns the address to which the kernels of a launch report errors, and the number that identifies the current
// operator.
Reporter reporter(int device);
// If a kernel has reported an error, raises the error once: IndexError, or the error that the CPU raises for the same
// arguments.
void raise_reports(int device);

}  // namespace flambeau::cuda
