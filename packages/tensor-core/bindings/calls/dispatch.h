// __torch_dispatch__: classes derived from Tensor and modes that answer for operators below autograd. Internal.
//
// This file finds out whether a class or a mode has to be asked, and hands the call to the handler that
// flambeau._dispatch registers. Note [Dispatch] in that package describes the way of a call.
//
// Note [Preserved objects]
// The object of a class with __torch_dispatch__ has attributes that its tensor cannot be made again without. While only
// C++ holds the tensor, as a node of a graph or an accumulated gradient does, the tensor owns the object: the object's
// deallocation is undone and the object gives up its count of the tensor. wrap_tensor() reverses that when Python asks
// for the object again.
#pragma once

#include "tensor/object.h"

namespace flambeau::python {

// The tensor's part of the link to its Python object.
struct PythonPeer final : TensorPeer {
  ~PythonPeer() override;
  PyObject* preserved = nullptr;  // the object, while the tensor owns it
  PyObject* device = nullptr;     // the flambeau.device that the object shows, if it is not that of the memory; owned
};

bool in_dispatch_mode();
bool class_dispatches(PyTypeObject* type);
// Return whether a tensor is an instance of a class with __torch_dispatch__. Operators ask the class, since the device
// of such a tensor does not say where they compute.
bool is_without_memory(PyObject* o);
// Return whether a class or a mode has to be asked about a call with these arguments.
bool dispatches(PyObject* const* args, size_t count);
// Return whether reading this attribute of a tensor calls an operator.
bool is_dispatched_attribute(const char* name);
// Return whether classes and modes are asked about a callable: an operator, a method or an accessor, but no Python
// function that calls operators.
bool may_dispatch(PyObject* callable, PyObject* kwnames);
// Return the answer for a call, or NotImplemented if the operator is to run as usual.
Object ask_dispatcher(PyObject* callable, PyObject* const* args, size_t count, PyObject* kwnames);

// A class was derived from Tensor: if it has a __torch_dispatch__, its instances are asked from now on.
void note_dispatching_class(PyTypeObject* type);
// Lets the object go back to Python that `t` owns, if it does. Note [Preserved objects]
void reclaim_object(const Tensor& t, PyObject* object);
// The device that a tensor's object shows, borrowed, and whether it is of this type.
PyObject* shown_device(PyObject* self);
bool shows_device(PyObject* self, DeviceType type);
void show_device(const Tensor& t, PyObject* device);

// Deallocation of a Tensor object whose class is the base of the object's (tensor_type.cpp).
void dealloc_tensor(PyObject* self);

void bind_dispatch(PyObject* module);
void bind_forwarding(PyObject* module);  // forwarding.cpp

}  // namespace flambeau::python
