// Options of optimizers, as parameter groups keep them.
#pragma once

#include "calls/bind.h"

namespace flambeau::python {

// Returns an option as a number.
//   position: of an item of the option, such as of "betas", or -1 for the option itself.
double optimizer_option(PyObject* group, PyObject* name, Py_ssize_t position);

// Returns a value of a program's state: a tensor, or the number of a tuple (group, name, position).
Value state_value(PyObject* given);

}  // namespace flambeau::python
