// Placeholders, which represent the batch that a function is mapped over. Note [Interception]
#pragma once

#include "tensor/object.h"

namespace flambeau::python {

inline bool is_placeholder(PyObject* o) { return Py_TYPE(o) == placeholder_type; }
bool in_map();  // true within a vmap
// Calls handler(operator, a value for each parameter, out or None) for an operator, and handler(callable, positional
// arguments, a dictionary of keyword arguments or None) for other callables.
PyObject* call_handler(PyObject* callable, PyObject* const* args, size_t count, PyObject* kwnames);

void bind_placeholders(PyObject* module);

}  // namespace flambeau::python
