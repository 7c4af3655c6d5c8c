// Observation of the tensors that extension modules read and create, for tracing.
//
// Note [Extension watch]
// Functions of extension modules are not operators, so modes cannot intercept their calls. However, their arguments and
// results pass through python_interface. While a program is traced, a Python callable is called with every tensor that
// an extension module reads or creates. Otherwise, the tracer would treat the result of such a function as a constant.
// The callable is also called when the memory of a tensor is exported by the buffer protocol, because NumPy then
// computes on this memory without calling operators. The callable is thread-local. Without a callable, the overhead is
// the read of a pointer.
#pragma once

#include "tensor/object.h"

namespace flambeau::python {

PyObject* wrap_for_extension(const Tensor& t);
const Tensor* unwrap_for_extension(PyObject* o);
void note_exported(PyObject* tensor);  // call this when the buffer protocol exports the tensor's memory
// Constructors such as Tensor(data) are not operators either. They report the tensors that they read and create.
// `tensors`: an argument, or a sequence of arguments, of any type.
void note_read(PyObject* tensors);
void note_made(PyObject* tensor);

void bind_extension_watch(PyObject* module);

}  // namespace flambeau::python
