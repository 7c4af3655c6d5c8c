// Spectral decompositions as bindings compute them: LAPACK, where it serves, is reached through Python. Internal.
#pragma once

#include "flambeau/factorization.h"

namespace flambeau::python {

// Results with history; vectors where they are asked for. `name`: of the function of flambeau.linalg, for errors.
Eigen hermitian_eigen(const char* name, const Tensor& a, std::string_view triangle, bool vectors);
SingularValues singular_decomposition(const char* name, const Tensor& a, bool full, bool vectors);

}  // namespace flambeau::python
