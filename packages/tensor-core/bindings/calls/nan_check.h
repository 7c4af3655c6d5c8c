// Detection of calls that create NaN. Note [NaN check]
#pragma once

#include "tensor/object.h"

namespace flambeau::python {

// Returns true if calls in this thread are checked: in anomaly mode, while operations are recorded.
bool in_nan_check();
PyObject* call_nan_checked(PyObject* callable, PyObject* const* args, size_t count, PyObject* kwnames);

void bind_nan_check(PyObject* module);

}  // namespace flambeau::python
