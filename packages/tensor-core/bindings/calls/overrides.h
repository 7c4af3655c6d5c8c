// __torch_function__: classes, derived from Tensor or not, that handle calls with their instances, and modes that
// handle all calls. Note [Interception]
#pragma once

#include <vector>

#include "tensor/object.h"

namespace flambeau::python {

bool may_override(PyObject* o);
// Call this after an operator has raised a TypeError. Registers the classes of arguments, other than tensors, that have
// a __torch_function__. Returns true, and clears the error, if any class was not registered before.
bool register_override_classes(PyObject* const* args, size_t count);
// Returns the arguments whose classes handle the call: from left to right, but subclasses before their bases. The
// result owns references, because a handler may change a list that contains an argument.
std::vector<Object> overriding(PyObject* const* args, size_t count);
PyObject* call_classes(PyObject* callable, const std::vector<Object>& overriding_args, PyObject* const* args,
                       size_t count, PyObject* kwnames);

// in_mode returns true if a flambeau.overrides.TorchFunctionMode is active in this thread; call_mode calls the
// innermost mode.
bool in_mode();
Object call_mode(PyObject* callable, PyObject* const* args, size_t count, PyObject* kwnames);

// Calls the mode or the class that handles a function, which is not an operator. Returns null if no mode or class
// handles the function.
Object call_function_handler(PyObject* function, PyObject* const* args, size_t count, PyObject* kwnames);

// Disables the __torch_function__ that a class with __torch_dispatch__ inherits from Tensor, which would convert the
// results of __torch_dispatch__ to this class.
void disable_default_override(PyObject* type);

void bind_overrides(PyObject* module);

}  // namespace flambeau::python
