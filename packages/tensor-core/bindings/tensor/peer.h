// Data of a tensor that belongs to its Python object, and Python objects that their tensors own.
//
// Note [Preserved objects]
// Some tensors must not get a new Python object while C++ code holds them, because the object has attributes or a class
// that a new object would lack. These tensors are instances of classes with __torch_dispatch__, and gradients that have
// attributes or a derived class. Normally the Python object owns the tensor. If Python has no references to such an
// object, but C++ code still holds the tensor (for example as the .grad of another tensor), the ownership is reversed:
// the deallocation of the object is cancelled, the tensor owns the object, and the object releases its reference to the
// tensor. wrap_tensor() restores the normal ownership when the tensor is passed to Python again.
#pragma once

#include "tensor/object.h"

namespace flambeau::python {

struct PythonPeer final : TensorPeer {
  ~PythonPeer() override;
  PyObject* preserved = nullptr;  // the object, while the tensor owns it
  PyObject* device = nullptr;     // owned value of the attribute `device`, if it differs from the device of the memory
};

PythonPeer& peer_of(const Tensor& t);  // creates the peer if it does not exist
PythonPeer* peer_if_any(const Tensor& t);

// Called when Python has no references to the object. If C++ code holds the tensor, and the object must not be
// replaced, makes the tensor own the object and returns true.
bool preserve(PyObject* self);
// If `t` owns its Python object, makes the object own the tensor again.
void reclaim_object(const Tensor& t, PyObject* object);
// Returns the Python object of .grad (borrowed) if the gradient owns it and nothing else holds the gradient.
PyObject* preserved_gradient(const AutogradMeta& meta);

// Releases what a derived class adds to an object that is being deallocated. Returns false if the object stays alive.
bool release_derived(PyObject* self);

}  // namespace flambeau::python
