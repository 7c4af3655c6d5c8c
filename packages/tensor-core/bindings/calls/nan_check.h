// Results that hold a NaN although no argument does. Note [NaN check] Internal.
#pragma once

#include "tensor/object.h"

namespace flambeau::python {

// Return true if this thread checks its calls: in anomaly mode, while gradients are recorded.
bool in_nan_check();
PyObject* call_nan_checked(PyObject* callable, PyObject* const* args, size_t count, PyObject* kwnames);

void bind_nan_check(PyObject* module);

}  // namespace flambeau::python
