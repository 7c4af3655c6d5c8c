// Assignment of the arguments of a call to the parameters of the called operator.
#pragma once

#include "calls/binding.h"

namespace flambeau::python {

// The argument for each parameter (`at`), and the argument out=, or null for a missing argument.
struct Arguments {
  PyObject* at[kMaxParameters] = {};
  Object packed;  // owns the tuple of the arguments of a variadic parameter
  PyObject* out = nullptr;
};
void collect(const Binding& b, PyObject* const* args, size_t count, PyObject* kwnames, Arguments& values);

}  // namespace flambeau::python
