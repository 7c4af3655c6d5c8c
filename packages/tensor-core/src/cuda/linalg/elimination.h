// In-place factorizations of contiguous batches of matrices (count, rows, columns) on a GPU. Pivots and infos count
// from 1, as in LAPACK.
#pragma once

#include "flambeau/cuda.h"

namespace flambeau::cuda {

void factor_lu(const Tensor& a, const Tensor& pivots, const Tensor& info);
// Computes the upper factor from the upper triangle.
void factor_cholesky(const Tensor& a, const Tensor& info);
// Replaces b by the solution X of A X = B for triangular A. `a` may have any strides; with a batch stride of 0, all
// systems have the same A.
void solve_triangles(const Tensor& a, const Tensor& b, bool upper, bool unit);
void exchange_rows(const Tensor& a, const Tensor& pivots, bool back);
void order_of_rows(const Tensor& order, const Tensor& pivots);

// Factors symmetric or Hermitian matrices, which are given as lower triangles with zeros above (indefinite.cpp).
// solve_indefinite() replaces b by the solution X of A X = B.
void factor_indefinite(const Tensor& a, const Tensor& pivots, const Tensor& info, bool hermitian);
void solve_indefinite(const Tensor& a, const Tensor& pivots, const Tensor& b, bool hermitian);

// Computes QR factorizations by reflectors with the factors tau (count, k) (reflectors.cpp). reflect() replaces c by Q
// C or, if `adjoint`, by Q^H C. `fresh`: c is initially the identity.
void factor_qr(const Tensor& a, const Tensor& tau);
void reflect(const Tensor& vectors, const Tensor& tau, const Tensor& c, bool adjoint, bool fresh);

}  // namespace flambeau::cuda
