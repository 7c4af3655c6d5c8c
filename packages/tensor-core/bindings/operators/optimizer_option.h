// Access to the options of optimizers in parameter groups.
#pragma once

#include "calls/bind.h"

namespace flambeau::python {

// Returns an option of a parameter group as a number.
//   position: index of an item if the option is a sequence, such as "betas"; -1 for the option itself.
double optimizer_option(PyObject* group, PyObject* name, Py_ssize_t position);

// Converts a value of a program's state: a tensor, or a tuple (group, name, position), which means an option of an
// optimizer.
Value state_value(PyObject* given);

}  // namespace flambeau::python
