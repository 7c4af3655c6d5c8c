// Factorizations of batches of matrices, for the Python operators of flambeau.linalg. They are not recorded. Matrices
// are float32 or float64 (or complex), and row-major in the results. `info` is 0 on success, otherwise the number of
// the step that failed, counted from 1.
#pragma once

#include "flambeau/operators.h"

namespace flambeau {

struct LuFactors {
  Tensor lu, pivots, info;  // pivots: int32, from 1: step k exchanges the rows k and pivots[k]
};
FLAMBEAU_API LuFactors lu_factor(const Tensor& a);
FLAMBEAU_API Tensor lu_solve(const Tensor& lu, const Tensor& pivots, const Tensor& b, bool adjoint);
// Returns the permutation as int64: row i of P^T A is row result[i] of A.
FLAMBEAU_API Tensor lu_permutation(const Tensor& pivots, int64_t rows);
struct Inverse {
  Tensor inverse, info;
};
FLAMBEAU_API Inverse inverse(const Tensor& a);
FLAMBEAU_API Tensor lu_determinant(const Tensor& lu, const Tensor& pivots);
struct LogDeterminant {
  Tensor sign, logarithm;  // logarithm of the absolute value
};
FLAMBEAU_API LogDeterminant lu_log_determinant(const Tensor& lu, const Tensor& pivots);
// L D L^T in LAPACK's compact form; pivots are negative for 2x2 blocks of D.
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

// Eigenvalues and singular values of small matrices (Note [Jacobi] in kernels/linalg/jacobi.cpp).
struct Eigen {
  Tensor values, vectors;  // values in ascending order; vectors are columns, undefined if not requested
};
FLAMBEAU_API Eigen eigen_hermitian(const Tensor& a, bool upper, bool vectors);
// Eigenvalues of small general matrices by shifted QR (Note [Shifted QR] in operators/linalg/shifted_qr.h).
struct GeneralEigen {
  Tensor values, vectors;          // both complex
  bool not_finite, not_converged;  // true if this holds for any matrix; then there are no values
};
FLAMBEAU_API GeneralEigen eigen_general(const Tensor& a, bool vectors);
struct SingularValues {
  Tensor u, values, vh, info;  // info: 1 if a value is not finite
};
FLAMBEAU_API SingularValues singular_values(const Tensor& a, bool full, bool vectors);

}  // namespace flambeau
