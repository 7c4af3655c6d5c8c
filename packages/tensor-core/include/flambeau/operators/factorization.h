// Factorizations of batches of matrices, for the Python operators of flambeau.linalg: values only, unrecorded. Matrices
// are float32 or float64 (or complex), row-major in the results. `info` counts from 1 what failed in a matrix; 0 is
// success.
#pragma once

#include "flambeau/operators.h"

namespace flambeau {

struct LuFactors {
  Tensor lu, pivots, info;  // pivots: int32, counted from 1: at step k the rows k and pivots[k] are exchanged
};
FLAMBEAU_API LuFactors lu_factor(const Tensor& a);
FLAMBEAU_API Tensor lu_solve(const Tensor& lu, const Tensor& pivots, const Tensor& b, bool adjoint);
// Where the rows of P^T A come from, int64: row i is row order[i] of A.
FLAMBEAU_API Tensor lu_permutation(const Tensor& pivots, int64_t rows);
struct Inverse {
  Tensor inverse, info;
};
FLAMBEAU_API Inverse inverse(const Tensor& a);
FLAMBEAU_API Tensor lu_determinant(const Tensor& lu, const Tensor& pivots);
struct LogDeterminant {
  Tensor sign, logarithm;  // of its absolute value
};
FLAMBEAU_API LogDeterminant lu_log_determinant(const Tensor& lu, const Tensor& pivots);
// L D L^T in LAPACK's compact form; pivots negative where D has a block of two.
FLAMBEAU_API LuFactors ldl_factor(const Tensor& a, bool hermitian);
FLAMBEAU_API Tensor ldl_solve(const Tensor& ld, const Tensor& pivots, const Tensor& b, bool hermitian);
struct CholeskyFactor {
  Tensor factor, info;
};
FLAMBEAU_API CholeskyFactor cholesky_factor(const Tensor& a, bool upper);
FLAMBEAU_API Tensor solve_triangular(const Tensor& a, const Tensor& b, bool upper, bool unit);
struct QrFactors {
  Tensor reflectors, tau;
};
FLAMBEAU_API QrFactors qr_factor(const Tensor& a);
FLAMBEAU_API Tensor householder_product(const Tensor& reflectors, const Tensor& tau, int64_t columns);
FLAMBEAU_API Tensor apply_reflectors(const Tensor& reflectors, const Tensor& tau, const Tensor& c, bool adjoint);

// For small matrices (Note [Jacobi] in kernels/linalg/jacobi.cpp).
struct Eigen {
  Tensor values, vectors;  // ascending; the vectors are the columns, undefined where they are not wanted
};
FLAMBEAU_API Eigen eigen_hermitian(const Tensor& a, bool upper, bool vectors);
// By shifted QR (Note [Shifted QR] in operators/linalg/shifted_qr.h), for small matrices.
struct GeneralEigen {
  Tensor values, vectors;          // complex
  bool not_finite, not_converged;  // of any matrix: then there are no values
};
FLAMBEAU_API GeneralEigen eigen_general(const Tensor& a, bool vectors);
struct SingularValues {
  Tensor u, values, vh, info;  // info: 1 where a value is not finite
};
FLAMBEAU_API SingularValues singular_values(const Tensor& a, bool full, bool vectors);

}  // namespace flambeau
