// Eigenvalues and singular values of small matrices by Jacobi rotations.
#pragma once

#include <cstdint>

namespace flambeau::kernels {

struct Jacobi {
  // Computes the eigenvalues, in ascending order, and the eigenvectors, as rows, of a Hermitian n x n matrix A.
  // `vectors` is null if they are not requested. Only one triangle of A is read, and A is overwritten.
  void (*eigen)(int64_t n, bool upper, void* a, void* values, void* vectors);
  // Computes the singular values, in descending order, of A = U diag(s) V^H. On entry, the n rows of w, which have m >=
  // n elements each, are the columns of A. On return, the rows of w are the columns of U, completed to `rows`
  // orthonormal rows, and the n rows of v are the columns of V. If v is null, neither U nor V is computed.
  void (*singular)(int64_t n, int64_t m, int64_t rows, void* w, void* v, void* values);
};

}  // namespace flambeau::kernels
