// __torch_dispatch__: classes derived from Tensor and modes that handle operators below autograd.
//
// This file determines whether a class or a mode handles a call, and passes such calls to the handler that
// flambeau._dispatch registers. Note [Dispatch] in that package describes how a call is processed.
#pragma once

#include "tensor/object.h"

namespace flambeau::python {

bool in_dispatch_mode();
bool class_dispatches(PyTypeObject* type);
// Returns true if a tensor is an instance of a class with __torch_dispatch__. Such a class computes its operators, so
// the device of the tensor's memory is irrelevant.
bool is_without_memory(PyObject* o);
// Returns true if a class or a mode may handle a call with these arguments.
bool dispatches(PyObject* const* args, size_t count);
// Returns true if reading this attribute of a tensor calls an operator.
bool is_dispatched_attribute(const char* name);
// Returns true if classes and modes handle calls of a callable. They handle operators, methods and attribute accessors,
// but not Python functions that call operators.
bool may_dispatch(PyObject* callable, PyObject* kwnames);
// Returns the result of the class or mode that handles a call, or NotImplemented if the operator must run normally.
Object call_dispatcher(PyObject* callable, PyObject* const* args, size_t count, PyObject* kwnames);

// Registers a new class derived from Tensor, if it has a __torch_dispatch__.
void note_dispatching_class(PyTypeObject* type);
// The attribute `device` of a tensor: shown_device() returns its value (borrowed), shows_device() compares its type,
// and show_device() sets it.
PyObject* shown_device(PyObject* self);
bool shows_device(PyObject* self, DeviceType type);
void show_device(const Tensor& t, PyObject* device);

void bind_dispatch(PyObject* module);
void bind_forwarding(PyObject* module);  // forwarding.cpp

}  // namespace flambeau::python
