// Eigenvalues and singular values of small matrices by Jacobi's rotations. Internal to the library.
#pragma once

#include <cstdint>

namespace flambeau::kernels {

struct Jacobi {
  // A Hermitian, n x n, given by one triangle, destroyed: the eigenvalues, ascending, and as rows the eigenvectors
  // (null: not wanted).
  void (*eigen)(int64_t n, bool upper, void* a, void* values, void* vectors);
  // W, n rows of m >= n elements, the columns of a matrix A = U diag(s) V^H: the singular values, descending; W becomes
  // the columns of U as rows, completed to `rows` orthonormal ones, and V's n rows the columns of V (null: neither is
  // wanted).
  void (*singular)(int64_t n, int64_t m, int64_t rows, void* w, void* v, void* values);
};

}  // namespace flambeau::kernels
