// Observes the tensors that extension modules read and make, for tracing. Internal.
//
// Note [Extension watch]
// A function of an extension module is no operator, so that modes do not see its calls. Its tensors pass through
// python_interface, however. While a program is traced, a Python callable is called with every tensor that an extension
// module reads or makes, so that a result of an unknown function is not mistaken for a constant. It is also called when
// a tensor's memory is exported by the buffer protocol, because NumPy computes on it outside of the library. The
// callable is thread-local; without one the cost is reading a pointer.
#pragma once

#include "tensor/object.h"

namespace flambeau::python {

PyObject* wrap_for_extension(const Tensor& t);
const Tensor* unwrap_for_extension(PyObject* o);
void note_exported(PyObject* tensor);  // by the buffer protocol
// Constructors such as Tensor(data) are no operators either. `tensors`: an argument, or a sequence of arguments.
void note_read(PyObject* tensors);
void note_made(PyObject* tensor);

void bind_extension_watch(PyObject* module);

}  // namespace flambeau::python
