// Spectral decompositions as bindings compute them: LAPACK, where it serves, is reached through Python. Internal.
#pragma once

#include <vector>

#include "flambeau/operators/factorization.h"

namespace flambeau::python {

// The tensors that a function of a Python module gives for the values of a tensor: function(a, *numbers), or with a
// word before it (array_library.cpp).
Tensors tensors_of(const char* module, const char* function, const char* word, const Tensor& a,
                   const std::vector<int64_t>& numbers);

// Results with history; vectors where they are asked for. `name`: of the function of flambeau.linalg, for errors.
Eigen hermitian_eigen(const char* name, const Tensor& a, std::string_view triangle, bool vectors);
SingularValues singular_decomposition(const char* name, const Tensor& a, bool full, bool vectors);

}  // namespace flambeau::python
