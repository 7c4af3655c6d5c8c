// Factorizations on a GPU, of batches of matrices (count, rows, columns), contiguous and changed in place. Pivots and
// infos count from 1, as LAPACK's.
#pragma once

#include "flambeau/cuda.h"

namespace flambeau::cuda {

void factor_lu(const Tensor& a, const Tensor& pivots, const Tensor& info);
void factor_cholesky(const Tensor& a, const Tensor& info);  // the upper factor, from the upper triangle
// b becomes X with A X = B. a: of any strides, one matrix for all where its batch is stepped over by 0.
void solve_triangles(const Tensor& a, const Tensor& b, bool upper, bool unit);
void exchange_rows(const Tensor& a, const Tensor& pivots, bool back);
void order_of_rows(const Tensor& order, const Tensor& pivots);

// Factors symmetric or Hermitian matrices, given as lower triangles with zeros above (indefinite.cpp). The second
// function replaces b by X with A X = B.
void factor_indefinite(const Tensor& a, const Tensor& pivots, const Tensor& info, bool hermitian);
void solve_indefinite(const Tensor& a, const Tensor& pivots, const Tensor& b, bool hermitian);

// By reflectors (reflectors.cpp), with factors tau (count, k). c becomes Q C or Q^H C; `fresh`: it was the identity.
void factor_qr(const Tensor& a, const Tensor& tau);
void reflect(const Tensor& vectors, const Tensor& tau, const Tensor& c, bool adjoint, bool fresh);

}  // namespace flambeau::cuda
