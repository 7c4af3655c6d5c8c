// Objects that stand for the batch a function is mapped over. Note [Interception] Internal.
#pragma once

#include "tensor/object.h"

namespace flambeau::python {

inline bool is_placeholder(PyObject* o) { return Py_TYPE(o) == placeholder_type; }
bool in_map();  // whether the code that runs is inside of a vmap
// Of an operator: handler(operator, a value for every parameter, out or None); of anything else: handler(callable,
// positional arguments, a dictionary of the others or None).
PyObject* ask_handler(PyObject* callable, PyObject* const* args, size_t count, PyObject* kwnames);

void bind_placeholders(PyObject* module);

}  // namespace flambeau::python
