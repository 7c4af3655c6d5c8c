// The parts of the Tensor type that are defined in separate files.
#pragma once

#include "tensor/object.h"

namespace flambeau::python {

void add_number_slots(PyType_Slot*& slot);  // number_protocol.cpp
// Returns true, and clears the error, if a handler of a + b, a == b or similar has raised a TypeError, and if one of
// the operands is neither a tensor nor a number. As in PyTorch, such an operand may then implement the operator.
bool is_unsupported(PyObject* result, PyObject* a, PyObject* b);
// Returns true for a subclass of Tensor that defines __array_ufunc__, which NumPy calls if an operator of a tensor and
// an array returns NotImplemented.
bool handles_arrays(PyObject* o);
extern PyGetSetDef tensor_attributes[];     // attributes.cpp
void create_tensor_type();                  // tensor_type.cpp
void create_small_types(PyObject* module);  // small_types.cpp: dtype and Size
void create_grad_modes(PyObject* module);   // grad_mode.cpp
void bind_device(PyObject* module);         // device.cpp

}  // namespace flambeau::python
