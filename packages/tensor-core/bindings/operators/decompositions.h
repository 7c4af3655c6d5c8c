// Spectral decompositions, which the bindings implement because they call LAPACK through Python.
#pragma once

#include <vector>

#include "flambeau/operators/factorization.h"

namespace flambeau::python {

// Calls function(a, *numbers) of a Python module or, unless `word` is null, function(word, a, *numbers). Returns the
// resulting tensors. The call is not recorded (array_library.cpp).
Tensors tensors_of(const char* module, const char* function, const char* word, const Tensor& a,
                   const std::vector<int64_t>& numbers);

// These decompositions are differentiable.
//   name: name of the calling function of flambeau.linalg, for error messages.
//   vectors: true if the vectors are required.
Eigen hermitian_eigen(const char* name, const Tensor& a, std::string_view triangle, bool vectors);
SingularValues singular_decomposition(const char* name, const Tensor& a, bool full, bool vectors);

}  // namespace flambeau::python
