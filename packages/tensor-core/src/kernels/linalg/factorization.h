// Factorizations of row-major matrices, in place, in one thread, without blocks: for small matrices and for the panels
// of large ones. Note [Blocked factorizations] in operators/linalg/blocked_factorization.h. Internal to the library.
#pragma once

#include <cstdint>

namespace flambeau::kernels {

struct Triangle {  // a triangular matrix inside another: element (i, j) at data + i * row + j * column
  const void* data;
  int64_t row, column;  // in elements
  bool upper, unit;     // upper: reads the upper triangle, else the lower; unit: the diagonal is taken as 1
};

// ld: distance between rows in elements.
struct Factorizations {
  // PA = LU of an m x n matrix by partial pivoting: step k exchanges the rows k and pivots[k]. Returns the number of
  // the first zero pivot, from 1, or 0.
  int64_t (*lu)(int64_t m, int64_t n, void* a, int64_t ld, int32_t* pivots);
  // A = U^H U, from the upper triangle. Returns the number of the first leading minor that is not positive, from 1, or
  // 0.
  int64_t (*cholesky)(int64_t n, void* a, int64_t ld);
  // B (n x columns) = A^-1 B.
  void (*solve_triangular)(int64_t n, int64_t columns, const Triangle& a, void* b, int64_t ldb);
  // A = QR by Householder reflectors H_k = 1 - tau_k v_k v_k^H: R above, v_k (without its leading 1) below the
  // diagonal, as in LAPACK.
  void (*qr)(int64_t m, int64_t n, void* a, int64_t ld, void* tau);
  // C (m x n) = Q C or Q^H C, where Q = H_1 ... H_k, with the reflectors in the columns of an m x k matrix.
  void (*reflect)(int64_t m, int64_t n, int64_t k, const void* v, int64_t ldv, const void* tau, bool adjoint, void* c,
                  int64_t ldc);
};

}  // namespace flambeau::kernels
