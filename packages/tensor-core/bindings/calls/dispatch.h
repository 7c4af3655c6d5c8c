// __torch_dispatch__: classes derived from Tensor and modes that handle operators below autograd. Internal.
//
// This file determines whether a class or a mode handles a call, and passes such calls to the handler that
// flambeau._dispatch registers. Note [Dispatch] in that package describes how a call is processed.
//
// Note [Preserved objects]
// An instance of a class with __torch_dispatch__ has attributes, so it must not be replaced by a new Python object for
// the same tensor. Normally the Python object owns the tensor. If Python has no more references to the object, but C++
// code still holds the tensor (for example a node of the graph, or an accumulated gradient), the ownership is reversed:
// the deallocation of the object is cancelled, the tensor owns the object, and the object releases its reference to the
// tensor. wrap_tensor() restores the normal ownership when the tensor is passed to Python again.
#pragma once

#include "tensor/object.h"

namespace flambeau::python {

// Data of a tensor that belongs to its Python object.
struct PythonPeer final : TensorPeer {
  ~PythonPeer() override;
  PyObject* preserved = nullptr;  // the object, while the tensor owns it
  PyObject* device = nullptr;     // owned value of the attribute `device`, if it differs from the device of the memory
};

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
// If `t` owns its Python object, makes the object own the tensor again. Note [Preserved objects]
void reclaim_object(const Tensor& t, PyObject* object);
// The attribute `device` of a tensor: shown_device() returns its value (borrowed), shows_device() compares its type,
// and show_device() sets it.
PyObject* shown_device(PyObject* self);
bool shows_device(PyObject* self, DeviceType type);
void show_device(const Tensor& t, PyObject* device);

// The tp_dealloc of Tensor, for objects of derived classes (tensor_type.cpp).
void dealloc_tensor(PyObject* self);

void bind_dispatch(PyObject* module);
void bind_forwarding(PyObject* module);  // forwarding.cpp

}  // namespace flambeau::python
