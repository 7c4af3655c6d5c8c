// Assignment of the arguments of a call to the parameters of the callable. Internal.
#pragma once

#include "calls/binding.h"

namespace flambeau::python {

// The argument of each parameter. `out` is null unless the call has out=.
struct Arguments {
  PyObject* at[kMaxParameters] = {};
  Object packed;  // owns the tuple of the arguments of a variadic parameter
  PyObject* out = nullptr;
};
void collect(const Binding& b, PyObject* const* args, size_t count, PyObject* kwnames, Arguments& values);

}  // namespace flambeau::python
