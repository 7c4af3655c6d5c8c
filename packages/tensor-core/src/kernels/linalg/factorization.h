// Factorizations of row-major matrices, in place, in one thread, without blocks: for small matrices and for the panels
// of large ones. Note [Blocked factorizations] in operators/linalg/blocked_factorization.h.
#pragma once

#include <cstdint>

namespace flambeau::kernels {

struct Triangle {  // a triangular matrix inside another: element (i, j) at data + i * row + j * column
  const void* data;
  int64_t row, column;  // distances in elements
  bool upper, unit;     // upper: use the upper triangle instead of the lower; unit: the diagonal elements count as 1
};

// ld: distance between rows in elements.
struct Factorizations {
  // Computes PA = LU of an m x n matrix with partial pivoting: step k exchanges the rows k and pivots[k]. Returns 0 on
  // success, otherwise the number of the first zero pivot, counted from 1.
  int64_t (*lu)(int64_t m, int64_t n, void* a, int64_t ld, int32_t* pivots);
  // Computes A = U^H U from the upper triangle of A. Returns 0 on success, otherwise the size of the first leading
  // minor that is not positive.
  int64_t (*cholesky)(int64_t n, void* a, int64_t ld);
  // Replaces B (n x columns) by A^-1 B.
  void (*solve_triangular)(int64_t n, int64_t columns, const Triangle& a, void* b, int64_t ldb);
  // Computes A = QR by Householder reflectors H_k = 1 - tau_k v_k v_k^H: R above, v_k (without its leading 1) below the
  // diagonal, as in LAPACK.
  void (*qr)(int64_t m, int64_t n, void* a, int64_t ld, void* tau);
  // Replaces C (m x n) by Q C or Q^H C (`adjoint`), where Q = H_1 ... H_k. The reflectors are the columns of an m x k
  // matrix.
  void (*reflect)(int64_t m, int64_t n, int64_t k, const void* v, int64_t ldv, const void* tau, bool adjoint, void* c,
                  int64_t ldc);
};

}  // namespace flambeau::kernels
