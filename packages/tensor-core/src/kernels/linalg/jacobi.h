// Eigenvalues and singular values of small matrices by Jacobi rotations. Internal to the library.
#pragma once

#include <cstdint>

namespace flambeau::kernels {

struct Jacobi {
  // Eigenvalues, ascending, and eigenvectors, as rows (null if not requested), of a Hermitian n x n matrix A. A is
  // given by one triangle and is overwritten.
  void (*eigen)(int64_t n, bool upper, void* a, void* values, void* vectors);
  // Singular values, descending, of A = U diag(s) V^H. w has the columns of A as n rows of m >= n elements. On return
  // its rows are the columns of U, completed to `rows` orthonormal ones, and the n rows of v are the columns of V. If v
  // is null, neither is computed.
  void (*singular)(int64_t n, int64_t m, int64_t rows, void* w, void* v, void* values);
};

}  // namespace flambeau::kernels
