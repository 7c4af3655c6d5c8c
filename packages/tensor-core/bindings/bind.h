// One function for each family of bindings. Internal.
#pragma once

#include "arguments.h"

namespace flambeau::python {

void bind_arithmetic();        // bind_arithmetic.cpp: composites on rows
void bind_activations();       // bind_activations.cpp
void bind_complex();           // bind_complex.cpp
void bind_views();             // bind_views.cpp
void bind_reductions();        // bind_reductions.cpp
void bind_structure();         // bind_structure.cpp: products
void bind_indexing();          // bind_indexing.cpp
void bind_joining();           // bind_joining.cpp
void bind_networks();          // bind_networks.cpp: convolutions, losses, normalisation
void bind_linear_algebra();    // bind_linear_algebra.cpp: what flambeau.linalg is made of
void bind_construction();      // bind_construction.cpp
void bind_interop();           // interop.cpp
void bind_autograd();          // bind_autograd.cpp
void bind_python_operators();  // python_operators.cpp: those written in Python
void publish_rows(PyObject* module);
PyObject* describe_rows();

Tensor with_grad(Tensor t, bool requires_grad);  // marks a fresh tensor as a leaf

}  // namespace flambeau::python
