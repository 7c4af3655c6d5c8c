// Native operators of flambeau.linalg and their older forms at the top level. They check arguments and are recorded.
// The last two dimensions are the matrix, the others are the batch. factorization.h computes the values.
#pragma once

#include "flambeau/operators/factorization.h"

namespace flambeau::linalg {

class FLAMBEAU_API LinAlgError : public Error {  // raised if an algorithm cannot continue with a matrix
 public:
  using Error::Error;
};

// Check the arguments of the function `name`.
FLAMBEAU_API void check_matrix(const char* name, const Tensor& t, const char* argument = "A");
FLAMBEAU_API void check_square(const char* name, const Tensor& t, const char* argument = "A");

inline Tensor adjoint(const Tensor& t) { return conj(transpose(t, -1, -2)); }

// Triangular systems and Cholesky factors (operators/linalg/triangular.cpp)
FLAMBEAU_API Tensor solve_triangular(const Tensor& a, const Tensor& b, bool upper, bool left, bool unitriangular);
FLAMBEAU_API CholeskyFactor cholesky_ex(const Tensor& a, bool upper, bool check_errors);
FLAMBEAU_API Tensor cholesky(const Tensor& a, bool upper);
FLAMBEAU_API Tensor cholesky_solve(const Tensor& b, const Tensor& factor, bool upper);
FLAMBEAU_API Tensor cholesky_inverse(const Tensor& factor, bool upper);
struct TriangularSolution {
  Tensor solution, coefficient;  // coefficient: a copy of A
};
FLAMBEAU_API TriangularSolution triangular_solve(const Tensor& b, const Tensor& a, bool upper, bool transposed,
                                                 bool unitriangular);

// Factorizations and solvers by Gaussian elimination (operators/linalg/elimination.cpp)
FLAMBEAU_API LuFactors lu_factor_ex(const Tensor& a, bool pivot, bool check_errors);
FLAMBEAU_API LuFactors lu_factor(const Tensor& a, bool pivot);
struct Lu {
  Tensor p, l, u;
};
FLAMBEAU_API Lu lu(const Tensor& a, bool pivot);
FLAMBEAU_API Lu lu_unpack(const Tensor& lu, const Tensor& pivots, bool unpack_data, bool unpack_pivots);
FLAMBEAU_API Tensor lu_solve(const Tensor& lu, const Tensor& pivots, const Tensor& b, bool left, bool adjoint);
struct Solution {
  Tensor result, info;
};
FLAMBEAU_API Solution solve_ex(const Tensor& a, const Tensor& b, bool left, bool check_errors);
FLAMBEAU_API Tensor solve(const Tensor& a, const Tensor& b, bool left);
FLAMBEAU_API Inverse inv_ex(const Tensor& a, bool check_errors);
FLAMBEAU_API Tensor inv(const Tensor& a);
FLAMBEAU_API LuFactors ldl_factor_ex(const Tensor& a, bool hermitian, bool check_errors);
FLAMBEAU_API LuFactors ldl_factor(const Tensor& a, bool hermitian);
FLAMBEAU_API Tensor ldl_solve(const Tensor& ld, const Tensor& pivots, const Tensor& b, bool hermitian);

FLAMBEAU_API Tensor matrix_power(const Tensor& a, int64_t n);  // operators/linalg/matrix_power.cpp

// Records decompositions whose values were computed from A (operators/linalg/spectra.cpp). Undefined tensors were not
// requested.
FLAMBEAU_API void record_eigh(const Tensor& a, const Tensor& values, const Tensor& vectors);
FLAMBEAU_API void record_eig(const Tensor& a, const Tensor& values, const Tensor& vectors);
FLAMBEAU_API void record_svd(const Tensor& a, const Tensor& u, const Tensor& s, const Tensor& vh);

// QR factorization by Householder reflections (operators/linalg/reflection.cpp)
struct Qr {
  Tensor q, r;
};
FLAMBEAU_API Qr qr(const Tensor& a, std::string_view mode);
FLAMBEAU_API Tensor householder_product(const Tensor& input, const Tensor& tau);
FLAMBEAU_API Tensor ormqr(const Tensor& input, const Tensor& tau, const Tensor& other, bool left, bool transposed);
FLAMBEAU_API QrFactors geqrf(const Tensor& input);

}  // namespace flambeau::linalg
