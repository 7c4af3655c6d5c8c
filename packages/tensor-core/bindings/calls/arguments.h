// From a call's arguments to one for each parameter. Internal.
#pragma once

#include "calls/binding.h"

namespace flambeau::python {

// The arguments of a call by parameter; `out` if it was given.
struct Arguments {
  PyObject* at[kMaxParameters] = {};
  Object packed;  // what a variadic parameter collected
  PyObject* out = nullptr;
};
void collect(const Binding& b, PyObject* const* args, size_t count, PyObject* kwnames, Arguments& values);

}  // namespace flambeau::python
