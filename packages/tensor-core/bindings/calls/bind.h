// Functions that register the bindings of each family, and functions that several families share.
#pragma once

#include "calls/define.h"
#include "flambeau/program.h"

namespace flambeau::python {

void set_interpreter_hooks();          // interpreter.cpp: gives the library access to the GIL and to signals
void bind_records();                   // bind_records.cpp: operators that are defined by records
void bind_views();                     // bind_views.cpp: elements, sizes and strides
void bind_layout();                    // bind_layout.cpp
void bind_sorting();                   // bind_sorting.cpp: multidimensional histograms
void bind_optimizer();                 // bind_optimizer.cpp: an optimizer's step
void bind_spectra();                   // bind_spectra.cpp: eigenvalues, singular values
void bind_least_squares();             // bind_least_squares.cpp
void bind_program(PyObject* module);   // bind_program.cpp: traced programs
void bind_watch(PyObject* module);     // bind_watch.cpp: observation of calls during a capture
void bind_profile();                   // bind_profile.cpp: run times of the operators of programs
void bind_compiled(PyObject* module);  // bind_compiled.cpp: guards and replay of compiled functions
void bind_conversion();                // bind_conversion.cpp: conversions of dtype and memory format
void bind_construction();              // bind_construction.cpp: tensors from Python data
void bind_interop();                   // interop.cpp
void bind_cuda();                      // bind_cuda.cpp: the functions behind flambeau.cuda
void bind_array_library();             // array_library.cpp: functions that CuPy computes
void bind_autograd();                  // bind_autograd.cpp
void bind_autocast();                  // autocast.cpp
void bind_python_operators(PyObject* module);
void publish_return_types(PyObject* module);
// Creates the named tuple type of the results of an operator written in Python.
PyObject* make_return_type(std::string_view name, PyObject* fields);
PyTypeObject* named_tuple_type(std::string_view name, const std::vector<std::string_view>& fields);  // borrowed
void publish_rows(PyObject* module);
PyObject* describe_rows();

const Program& program_of(PyObject* capsule);  // a capsule that _parse_program returned
PyObject* object_of(const Value& v);           // converts a tensor, a number or None to Python

PyObject* out_of_memory_error();  // flambeau.OutOfMemoryError; borrowed

// Defines a function of flambeau.linalg. Its name in _core is linalg_<name>, because flambeau itself may have a
// function with the same name.
template <class F>
void def_linalg(std::string_view signature, const char* doc, F function, int flags = kOut) {
  Binding* binding = def(signature, kPrivate | flags, doc, function);
  binding->module = "flambeau.linalg";
  binding->attribute = "linalg_" + binding->name;
}

Tensor pinned(const Tensor& t);  // returns a copy in pinned memory; throws without a CUDA driver (bind_cuda.cpp)
// Moves a new tensor to pinned memory if `pin` requests it, and makes it require grad if `requires_grad` is true.
Tensor finished(Tensor t, Pinned pin, bool requires_grad);
Tensor with_grad(Tensor t, bool requires_grad);  // makes a new tensor require grad, if requested

}  // namespace flambeau::python
