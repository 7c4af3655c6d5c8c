// Execution of operators in the dtype that flambeau.autocast selects.
//
// Note [Autocast]
// In a region of flambeau.autocast, floating-point arguments are cast to the dtype that the flags of the operator
// select: the dtype of the region for matrix products and convolutions (kLowerPrecision), float32 for losses and
// decompositions (kFloat32), and the widest dtype of the arguments for operators that combine several tensors
// (kWidest). Other operators compute in the dtypes of their arguments. float64 tensors, in-place forms and out= are not
// cast. Operators that an operator calls are not affected. The casts are recorded, so that a gradient has the dtype of
// its parameter. Casts of leaves that require a gradient are cached until the outermost region of the thread ends, so
// that each weight is cast once.
#pragma once

#include <string_view>

#include "tensor/object.h"

namespace flambeau::python {

// Returns which of kLowerPrecision, kFloat32 and kWidest applies in the current region of this thread, or 0 for none.
int autocast_policy(int flags, std::string_view name = {});
// Returns a number that identifies the devices and dtypes for which autocast is enabled in this thread; 0 for none.
int64_t autocast_state();
// Returns true in an autocast region for any device type, except while an operator of the region runs.
bool in_autocast();
// Suspends autocast in this thread during its lifetime.
struct SuspendAutocast {
  SuspendAutocast();
  ~SuspendAutocast();
  SuspendAutocast(const SuspendAutocast&) = delete;
  bool former;
};
// Calls callable(*args) with cast tensors.
PyObject* call_autocast(PyObject* callable, int policy, PyObject* const* args, size_t count, PyObject* kwnames);

}  // namespace flambeau::python
