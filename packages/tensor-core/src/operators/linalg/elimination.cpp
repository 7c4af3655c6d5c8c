// LU and LDL factorizations, linear systems and inverses.
#include "flambeau/interpreter.h"
#include "flambeau/operator.h"
#include "operators/linalg/linalg_checks.h"
#include "operators/without_derivative.h"

namespace flambeau::linalg {

namespace {

// Solves A X = B for a triangular A.
Tensor solve_left(const Tensor& a, const Tensor& b, bool upper, bool unit) {
  return solve_triangular(a, b, upper, true, unit);
}

// The factors L (with its diagonal of ones) and U, which are packed in one matrix.
struct UnpackedFactors {
  Tensor l, u;
  explicit UnpackedFactors(const Tensor& lu) {
    const int64_t m = lu.size(-2), n = lu.size(-1), k = std::min(m, n);
    l = tril(k == n ? lu : narrow(lu, -1, 0, k), -1) + eye(m, k, lu.dtype());
    u = triu(k == m ? lu : narrow(lu, -2, 0, k), 0);
  }
};

// Returns the matrix P of A = P L U.
Tensor permutation(const Tensor& pivots, int64_t rows, Dtype dtype) {
  const Tensor order = lu_permutation(pivots, rows);  // row i of P^T A is row order[i] of A
  return to(eq(unsqueeze(order, -2), unsqueeze(arange(Scalar(0), Scalar(rows), Scalar(1), Dtype::int64), -1)), dtype);
}

// Returns the gradient of A for A = P L U. With M = L^-1 P^T dA U^-1, dL = L tril(M, -1) and dU = triu(M) U. If A has
// more rows or more columns than pivots, the remaining rows or columns need a triangular solve.
Tensor factor_gradient(const Tensor& lu, const Tensor& pivots, const Tensor& grad) {
  const int64_t m = lu.size(-2), n = lu.size(-1), k = std::min(m, n);
  const UnpackedFactors parts(lu);
  const Tensor grad_l = tril(narrow(grad, -1, 0, k), -1), grad_u = triu(narrow(grad, -2, 0, k), 0);
  const Tensor l1 = narrow(parts.l, -2, 0, k), u1 = narrow(parts.u, -1, 0, k);
  Tensor lower = matmul(adjoint(l1), narrow(grad_l, -2, 0, k)), upper = matmul(narrow(grad_u, -1, 0, k), adjoint(u1));
  Tensor rest;
  if (n > k) {
    const Tensor grad_u2 = narrow(grad_u, -1, k, n - k);
    lower = lower - matmul(grad_u2, adjoint(narrow(parts.u, -1, k, n - k)));
    rest = solve_left(adjoint(l1), grad_u2, true, true);
  }
  if (m > k) {
    const Tensor grad_l2 = narrow(grad_l, -2, k, m - k);
    upper = upper - matmul(adjoint(narrow(parts.l, -2, k, m - k)), grad_l2);
    rest = adjoint(solve_left(u1, adjoint(grad_l2), true, false));
  }
  const Tensor middle = tril(lower, -1) + triu(upper, 0);
  Tensor result = adjoint(solve_left(u1, adjoint(solve_left(adjoint(l1), middle, true, true)), true, false));
  if (rest.defined()) result = cat({result, rest}, n > k ? -1 : -2);
  return matmul(permutation(pivots, m, lu.dtype()), result);
}

LuFactors factored(const char* name, const Tensor& a, bool pivot) {
  require(pivot, "linalg.", name, ": LU without pivoting is not implemented on the CPU");
  check_matrix(name, a);
  const LuFactors f = flambeau::lu_factor(a);
  if (recording(a))
    record("LinalgLuFactorEx", f.lu, {&a}, {&f.lu, &f.pivots},
           [](const Context& c) { c.set(0, factor_gradient(c.saved(0), c.saved(1), c.gradient())); });
  return f;
}

void explain_zero_pivot(std::ostream& text, int32_t info) {
  text << "U[" << info << "," << info
       << "] is zero and using it on lu_solve would result in a division by zero. If you "
       << "still want to perform the factorization, consider calling linalg.lu(A) or linalg.lu_factor_ex(A)";
}
void explain_no_inverse(std::ostream& text, int32_t info) {
  text << "The diagonal element " << info
       << " is zero, the inversion could not be completed because the input matrix is singular.";
}

// Given the solution X of A X = B with A = P L U, and its gradient, returns the gradient of the factors.
Tensor factors_gradient(const Tensor& lu, const Tensor& x, const Tensor& grad) {
  const UnpackedFactors parts(lu);
  const Tensor y = matmul(parts.u, x), grad_y = solve_left(adjoint(parts.u), grad, false, false);  // L Y = P^T B
  const Tensor grad_z = solve_left(adjoint(parts.l), grad_y, true, true);
  return -(tril(matmul(grad_z, adjoint(y)), -1) + triu(matmul(grad_y, adjoint(x)), 0));
}

// Returns the gradient of the factors for A^H X = B, where X = P Z, L^H Z = Y and U^H Y = B. `grad_b` is the gradient
// with respect to B.
Tensor adjoint_factors_gradient(const Tensor& lu, const Tensor& pivots, const Tensor& b, const Tensor& x,
                                const Tensor& grad, const Tensor& grad_b) {
  const UnpackedFactors parts(lu);
  const Tensor back = transpose(permutation(pivots, lu.size(-1), lu.dtype()), -1, -2);
  const Tensor y = solve_left(adjoint(parts.u), b, false, false), z = matmul(back, x);
  const Tensor grad_y = solve_left(parts.l, matmul(back, grad), false, true);
  return -(tril(matmul(z, adjoint(grad_y)), -1) + triu(matmul(y, adjoint(grad_b)), 0));
}

// Solves A X = B or, if `adjoint_solve`, A^H X = B, given the factors of A.
Tensor solve_factored(const Tensor& lu, const Tensor& pivots, const Tensor& b, bool adjoint_solve) {
  const Tensor x = flambeau::lu_solve(lu, pivots, b, adjoint_solve);
  if (recording(lu, b))
    record("LinalgLuSolve", x, {&lu, &b}, {&lu, &b, &x, &pivots}, [adjoint_solve](const Context& c) {
      const Tensor &lu = c.saved(0), &pivots = c.saved(3), &grad = c.gradient(),
                   grad_b = solve_factored(lu, pivots, grad, !adjoint_solve);
      if (c.needs(1)) c.set(1, grad_b);
      if (!c.needs(0)) return;
      c.set(0, adjoint_solve ? adjoint_factors_gradient(lu, pivots, c.saved(1), c.saved(2), grad, grad_b)
                             : factors_gradient(lu, c.saved(2), grad));
    });
  return x;
}

// Solves A X = B, where B is a matrix. Derivative: Giles 2008, section 2.3.1.
Solution solve_matrices(const Tensor& a, const Tensor& b) {
  const LuFactors f = flambeau::lu_factor(a);
  const Tensor x = flambeau::lu_solve(f.lu, f.pivots, b, false);
  if (recording(a, b))
    record("LinalgSolveEx", x, {&a, &b}, {&a, &x}, [f](const Context& c) {
      const Tensor grad_b = recording_enabled() ? solve_matrices(adjoint(c.saved(0)), c.gradient()).result
                                                : flambeau::lu_solve(f.lu, f.pivots, c.gradient(), true);
      if (c.needs(0)) c.set(0, -matmul(grad_b, adjoint(c.saved(1))));
      if (c.needs(1)) c.set(1, grad_b);
    });
  return {x, f.info};
}

Solution solved(const char* name, const Tensor& a, const Tensor& given, bool left) {
  check_square(name, a);
  check_inexact(name, given);
  check_dtypes(name, a, given);
  const bool vector = given.dim() == 1 ||
                      (a.dim() - 1 == given.dim() && given.shape() == Shape(a.shape().begin(), a.shape().end() - 1));
  require(left || !vector, "linalg.", name,
          ": Vector broadcasting of the left hand side is not supported for left=False. In this case linalg.", name,
          " is equivalent to B / A.squeeze(-1)");
  const Tensor b = vector ? unsqueeze(given, -1) : given;
  check_fit(name, a, b, left);
  Solution s = left ? solve_matrices(a, b) : solve_matrices(transpose(a, -1, -2), transpose(b, -1, -2));
  if (!left) s.result = transpose(s.result, -1, -2);
  if (vector) s.result = squeeze(s.result, Shape{-1});
  return s;
}

Inverse inverted(const char* name, const Tensor& a) {
  check_square(name, a);
  const Inverse i = inverse(a);
  if (recording(a))
    record("LinalgInvEx", i.inverse, {&a}, {&i.inverse}, [](const Context& c) {
      const Tensor adjoint_inverse = adjoint(c.saved(0));
      c.set(0, -matmul(matmul(adjoint_inverse, c.gradient()), adjoint_inverse));
    });
  return i;
}

LuFactors indefinite_factors(const char* name, const Tensor& a, bool hermitian) {
  check_square(name, a);
  LuFactors f = flambeau::ldl_factor(a, hermitian);
  record_without_derivative(name, {&f.lu}, a);
  return f;
}

}  // namespace

LuFactors lu_factor_ex(const Tensor& a, bool pivot, bool check_errors) {
  const LuFactors f = factored("lu_factor_ex", a, pivot);
  if (check_errors) check_info("lu_factor_ex", f.info, explain_singular);
  return f;
}

LuFactors lu_factor(const Tensor& a, bool pivot) {
  const LuFactors f = factored("lu_factor", a, pivot);
  check_info("lu_factor", f.info, explain_zero_pivot);
  return f;
}

Lu lu(const Tensor& a, bool pivot) {
  const LuFactors f = factored("lu", a, pivot);
  const UnpackedFactors parts(f.lu);
  return {permutation(f.pivots, a.size(-2), a.dtype()), parts.l, parts.u};
}

Lu lu_unpack(const Tensor& lu, const Tensor& pivots, bool unpack_data, bool unpack_pivots) {
  check_matrix("lu_unpack", lu, "LU_data");
  require(!unpack_pivots || pivots.dtype() == Dtype::int32,
          "lu_unpack: LU_pivots is expected to be a tensor of int32, as linalg.lu_factor gives, got ", pivots.dtype());
  const auto nothing = [&] { return empty({0}, lu.dtype()); };
  const Tensor p = unpack_pivots ? permutation(pivots, lu.size(-2), lu.dtype()) : nothing();
  if (!unpack_data) return {p, nothing(), nothing()};
  const UnpackedFactors parts(lu);
  return {p, parts.l, parts.u};
}

Tensor lu_solve(const Tensor& lu, const Tensor& pivots, const Tensor& b, bool left, bool adjoint_solve) {
  check_square("lu_solve", lu, "LU");
  check_matrix("lu_solve", b, "B");
  check_dtypes("lu_solve", lu, b);
  require(pivots.dtype() == Dtype::int32, "linalg.lu_solve: pivots should be a Tensor of scalar type Int. Got ",
          pivots.dtype());
  check_fit("lu_solve", lu, b, left);
  require(pivots.shape() == Shape(lu.shape().begin(), lu.shape().end() - 1),
          "linalg.lu_solve: Number of pivots per batch should be same as the dimension of the matrix: the pivots have "
          "shape ",
          pivots.shape(), ", LU ", lu.shape());
  if (left) return solve_factored(lu, pivots, b, adjoint_solve);
  return adjoint(solve_factored(lu, pivots, adjoint(b), !adjoint_solve));
}

const Operator linalg_lu_solve_operator(
    {.signature = "lu_solve(LU, pivots, B, *, left=True, adjoint=False)",
     .forms = kPrivate | kOut | kExactOut,
     .doc = R"(Solve ``A X = B`` with the results of lu_factor.

Args:
    LU, pivots: factors and pivots of A, ``(*, n, n)`` and ``(*, n)``, int32.
    B: ``(*, n, k)``, or ``(*, k, n)`` with ``left=False``; the batches broadcast.
    left: if False, solve ``X A = B``.
    adjoint: if True, solve with ``A^H`` instead of A.
Gradient: LU and B, any order.)",
     .forward = linalg::lu_solve,
     .module = "flambeau.linalg",
     .reference = "scipy.linalg.lu_solve((LU, pivots - 1), B)",
     .samples = "f(3, 3) / 4 + 2 * np.eye(3), np.array([2, 3, 3], np.int32), f(3, 2)"});

Solution solve_ex(const Tensor& a, const Tensor& b, bool left, bool check_errors) {
  const Solution s = solved("solve_ex", a, b, left);
  if (check_errors) check_info("solve_ex", s.info, explain_singular);
  return s;
}

Tensor solve(const Tensor& a, const Tensor& b, bool left) {
  const Solution s = solved("solve", a, b, left);
  check_info("solve", s.info, explain_singular);
  return s.result;
}

const Operator linalg_solve_operator(
    {.signature = "solve(A, B, *, left=True)",
     .forms = kPrivate | kOut | kExactOut | kFloat32,
     .doc = R"(Solve ``A X = B``, or ``X A = B`` with ``left=False``.

Args:
    A: ``(*, n, n)``.
    B: ``(*, n, k)`` (``(*, k, n)`` with ``left=False``), whose batch broadcasts with the batch of A; or a vector
        ``(n,)``, or vectors ``(*, n)`` with the same batch as A.
Raises: LinAlgError if a matrix is singular; RuntimeError if shapes or dtypes do not match.
Gradient: A and B, any order. Source of the derivative: Giles 2008, section 2.3.1.

>>> A = flambeau.tensor([[3.0, 1.0], [1.0, 2.0]])
>>> flambeau.linalg.solve(A, flambeau.tensor([9.0, 8.0]))
tensor([2., 3.]))",
     .forward = linalg::solve,
     .module = "flambeau.linalg",
     .reference = "np.linalg.solve(A, B)",
     .samples = "f(3, 3) / 4 + 2 * np.eye(3), f(3, 2); f(2, 3, 3) / 4 + 2 * np.eye(3), f(2, 3, 1)"});

Inverse inv_ex(const Tensor& a, bool check_errors) {
  const Inverse i = inverted("inv_ex", a);
  if (check_errors) check_info("inv_ex", i.info, explain_no_inverse);
  return i;
}

Tensor inv(const Tensor& a) {
  const Inverse i = inverted("inv", a);
  check_info("inv", i.info, explain_no_inverse);
  return i.inverse;
}

const Operator linalg_inv_operator(
    {.signature = "inv(A)",
     .forms = kPrivate | kOut | kExactOut | kFloat32,
     .doc =
         R"(Compute the inverse of every matrix ``(*, n, n)``. For a linear system, solve is faster and more accurate.

Raises: LinAlgError if a matrix is singular.
Gradient: A, any order.

>>> flambeau.linalg.inv(flambeau.tensor([[2.0, 0.0], [0.0, 4.0]]))
tensor([[0.5000, 0.0000],
        [0.0000, 0.2500]]))",
     .forward = linalg::inv,
     .module = "flambeau.linalg",
     .reference = "np.linalg.inv(A)",
     .samples = "f(3, 3) / 4 + 2 * np.eye(3); f(2, 2, 2) / 4 + 2 * np.eye(2)"});

const Operator inverse_operator({.signature = "inverse(input)",
                                 .forms = kFunction | kMethod | kOut | kFloat32,
                                 .doc = "Compute the inverse of every matrix, like flambeau.linalg.inv.",
                                 .forward = linalg::inv,
                                 .reference = "np.linalg.inv(input)",
                                 .samples = "2 * np.eye(3) + f(3, 3) / 4; 2 * np.eye(2) + f(3, 2, 2) / 4"});

LuFactors ldl_factor_ex(const Tensor& a, bool hermitian, bool check_errors) {
  const LuFactors f = indefinite_factors("ldl_factor_ex", a, hermitian);
  if (check_errors) check_info("ldl_factor_ex", f.info, explain_singular);
  return f;
}

LuFactors ldl_factor(const Tensor& a, bool hermitian) {
  const LuFactors f = indefinite_factors("ldl_factor", a, hermitian);
  check_info("ldl_factor", f.info, explain_singular);
  return f;
}

Tensor ldl_solve(const Tensor& ld, const Tensor& pivots, const Tensor& b, bool hermitian) {
  check_square("ldl_solve", ld, "LD");
  check_matrix("ldl_solve", b, "B");
  check_dtypes("ldl_solve", ld, b);
  check_fit("ldl_solve", ld, b, true);
  require(pivots.shape() == Shape(ld.shape().begin(), ld.shape().end() - 1),
          "linalg.ldl_solve: Expected LD.shape[:-1] and pivots.shape to be the same, but got pivots with shape ",
          pivots.shape());
  require(pivots.dtype() == Dtype::int32 || pivots.dtype() == Dtype::int64,
          "linalg.ldl_solve: Expected pivots to be integers. Got ", pivots.dtype());
  Tensor x = flambeau::ldl_solve(ld, pivots, b, hermitian);
  record_without_derivative("ldl_solve", {&x}, ld, b);
  return x;
}

const Operator linalg_ldl_solve_operator({.signature = "ldl_solve(LD, pivots, B, *, hermitian=False)",
                                          .forms = kPrivate | kOut | kExactOut,
                                          .doc = R"(Solve ``A X = B`` with the results of ldl_factor.

Args:
    LD, pivots: ``(*, n, n)`` and ``(*, n)``, int32.
    B: ``(*, n, k)``; the batches broadcast.
    hermitian: the same argument as for ldl_factor.
No gradient.)",
                                          .forward = linalg::ldl_solve,
                                          .module = "flambeau.linalg"});

const Operator _lu_factor_operator(
    {.signature = "_lu_factor(input)",
     .forms = kPrivate,
     .doc = "Compute the LU factors, the pivots and an error code (info) of every matrix.",
     .forward = [](const Tensor& a) {
       LuFactors f = lu_factor(a);
       return Tensors{f.lu, f.pivots, f.info};
     }});

const Operator lu_operator({.signature = "lu(input, pivot=True, get_infos=False)",
                            .forms = kFunction | kMethod | kOut,
                            .doc = "Compute the LU factors and the pivots like flambeau.linalg.lu_factor, and with "
                                   "``get_infos`` also the error codes.",
                            .forward = [](const Tensor& a, bool pivot, bool get_infos) {
                              warn_once(
                                  "lu is deprecated in favor of linalg.lu_factor / linalg.lu_factor_ex and will be "
                                  "removed in a future release.");
                              const LuFactors f =
                                  get_infos ? linalg::lu_factor_ex(a, pivot, false) : linalg::lu_factor(a, pivot);
                              return get_infos ? Tensors{f.lu, f.pivots, f.info} : Tensors{f.lu, f.pivots};
                            }});

const Operator lu_solve_operator({.signature = "lu_solve(input, LU_data, LU_pivots)",
                                  .forms = kFunction | kMethod | kOut | kExactOut | kFloat32,
                                  .doc = "Solve ``A X = input`` with the factors of A, like flambeau.linalg.lu_solve.",
                                  .forward =
                                      [](const Tensor& b, const Tensor& lu, const Tensor& pivots) {
                                        return linalg::lu_solve(lu, pivots, b, true, false);
                                      },
                                  .reference = "scipy.linalg.lu_solve((LU_data, "
                                               "LU_pivots - 1), input)",
                                  .samples = "f(3, 2), 2 * np.eye(3) + f(3, 3) / 4, np.array([2, 3, 3], np.int32)"});

const Operator lu_unpack_operator({.signature = "lu_unpack(LU_data, LU_pivots, unpack_data=True, unpack_pivots=True)",
                                   .forms = kFunction | kOut | kExactOut,
                                   .doc = R"(Compute P, L and U of ``A = P L U`` from the results of lu_factor.

Args:
    LU_data: ``(*, m, n)``.
    LU_pivots: ``(*, min(m, n))``, int32.
    unpack_data: if False, L and U are empty.
    unpack_pivots: if False, P is empty.
Returns: a named tuple ``(P, L, U)``.
Gradient: LU_data.)",
                                   .forward =
                                       [](const Tensor& lu, const Tensor& pivots, bool unpack_data,
                                          bool unpack_pivots) {
                                         const auto f = linalg::lu_unpack(lu, pivots, unpack_data, unpack_pivots);
                                         return Tensors{f.p, f.l, f.u};
                                       },
                                   .fields = "P, L, U"});

const Operator linalg_inv_ex_operator({.signature = "inv_ex(A, *, check_errors=False)",
                                       .forms = kPrivate | kOut | kExactOut | kFloat32,
                                       .doc = R"(Compute the inverse, with an error code instead of an exception.

Returns: a named tuple ``(inverse, info)``; info, int32, is 0 or the number, counted from 1, of the first zero on
    the diagonal of A's factor U. In the latter case, the inverse is not valid.
Gradient: A, any order.)",
                                       .forward =
                                           [](const Tensor& a, bool check_errors) {
                                             const Inverse i = linalg::inv_ex(a, check_errors);
                                             return Tensors{i.inverse, i.info};
                                           },
                                       .module = "flambeau.linalg",
                                       .fields = "inverse, info",
                                       .reference = "(np.linalg.inv(A), 0)",
                                       .samples = "f(3, 3) / 4 + 2 * np.eye(3)"});

const Operator linalg_solve_ex_operator(
    {.signature = "solve_ex(A, B, *, left=True, check_errors=False)",
     .forms = kPrivate | kOut | kExactOut,
     .doc = R"(Solve ``A X = B`` like solve, with an error code instead of an exception.

Returns: a named tuple ``(result, info)``; info, int32, is 0 or the number, counted from 1, of the first zero on
    the diagonal of A's factor U. In the latter case, the result is not valid.
Gradient: A and B, any order.)",
     .forward =
         [](const Tensor& a, const Tensor& b, bool left, bool check_errors) {
           const auto s = linalg::solve_ex(a, b, left, check_errors);
           return Tensors{s.result, s.info};
         },
     .module = "flambeau.linalg",
     .fields = "result, info",
     .reference = "(np.linalg.solve(A, B), 0)",
     .samples = "f(3, 3) / 4 + 2 * np.eye(3), f(3, 2)"});

const Operator linalg_ldl_factor_operator(
    {.signature = "ldl_factor(A, *, hermitian=False)",
     .forms = kPrivate | kOut | kExactOut,
     .doc =
         R"(Factorise a symmetric (Hermitian) matrix ``A = L D L^T`` (``L D L^H``) for ldl_solve.

The diagonal of D consists of blocks of size 1 and 2.

Args:
    A: ``(*, n, n)``; only its lower triangle is read.
    hermitian: if True, a complex A is Hermitian, otherwise symmetric.
Returns: a named tuple ``(LD, pivots)``. LD contains D and, below it, L in LAPACK's compact form. pivots,
    ``(*, n)``, int32: the rows that were exchanged, counted from 1; negative for blocks of size 2.
Raises: LinAlgError if D has a zero block. No gradient. Source: Bunch, Kaufman 1977.)",
     .forward =
         [](const Tensor& a, bool hermitian) {
           const LuFactors f = linalg::ldl_factor(a, hermitian);
           return Tensors{f.lu, f.pivots};
         },
     .module = "flambeau.linalg",
     .fields = "LD, pivots"});

const Operator linalg_ldl_factor_ex_operator(
    {.signature = "ldl_factor_ex(A, *, hermitian=False, check_errors=False)",
     .forms = kPrivate | kOut | kExactOut,
     .doc = R"(Factorise ``A = L D L^T`` like ldl_factor, with an error code instead of an exception.

Returns: a named tuple ``(LD, pivots, info)``; info, int32, is 0 or the number of the first zero block of D.
No gradient.)",
     .forward =
         [](const Tensor& a, bool hermitian, bool check_errors) {
           const LuFactors f = linalg::ldl_factor_ex(a, hermitian, check_errors);
           return Tensors{f.lu, f.pivots, f.info};
         },
     .module = "flambeau.linalg",
     .fields = "LD, pivots, info"});

const Operator linalg_lu_factor_operator(
    {.signature = "lu_factor(A, *, pivot=True)",
     .forms = kPrivate | kOut | kExactOut,
     .doc = R"(Factorise ``A = P L U`` by partial pivoting, for lu_solve.

Args:
    A: ``(*, m, n)``.
    pivot: must be True.
Returns: a named tuple ``(LU, pivots)``. LU contains U on and above its diagonal, and L, without its ones, below it.
    pivots, ``(*, min(m, n))``, int32: at step i the rows i and pivots[i] were exchanged, counted from 1.
Raises: LinAlgError if U has a zero on its diagonal.
Gradient: A, any order.)",
     .forward =
         [](const Tensor& a, bool pivot) {
           const LuFactors f = linalg::lu_factor(a, pivot);
           return Tensors{f.lu, f.pivots};
         },
     .module = "flambeau.linalg",
     .fields = "LU, pivots",
     .reference = "(scipy.linalg.lu_factor(A)[0], scipy.linalg.lu_factor(A)[1] + 1)",
     .samples = "f(3, 3)"});

const Operator linalg_lu_factor_ex_operator(
    {.signature = "lu_factor_ex(A, *, pivot=True, check_errors=False)",
     .forms = kPrivate | kOut | kExactOut,
     .doc = R"(Factorise ``A = P L U`` by partial pivoting like lu_factor, with an error code instead of an exception.

Args:
    A: ``(*, m, n)``.
    check_errors: raise LinAlgError if U has a zero on its diagonal.
Returns: a named tuple ``(LU, pivots, info)``; info, int32, is 0 or the number, counted from 1, of the first
    zero on the diagonal of U.
Gradient: A, any order.)",
     .forward =
         [](const Tensor& a, bool pivot, bool check_errors) {
           const LuFactors f = linalg::lu_factor_ex(a, pivot, check_errors);
           return Tensors{f.lu, f.pivots, f.info};
         },
     .module = "flambeau.linalg",
     .fields = "LU, pivots, info",
     .reference = "(scipy.linalg.lu_factor(A)[0], scipy.linalg.lu_factor(A)[1] + 1, 0)",
     .samples = "f(3, 3)"});

const Operator linalg_lu_operator(
    {.signature = "lu(A, *, pivot=True)",
     .forms = kPrivate | kOut,
     .doc = R"(Factorise ``A = P L U``, where P is a permutation, L is unit lower triangular and U is upper triangular.

Args:
    A: ``(*, m, n)``.
    pivot: must be True.
Returns: a named tuple ``(P, L, U)`` of shapes ``(*, m, m)``, ``(*, m, k)`` and ``(*, k, n)``, where k = min(m, n).
Gradient: A, any order.)",
     .forward =
         [](const Tensor& a, bool pivot) {
           const auto f = linalg::lu(a, pivot);
           return Tensors{f.p, f.l, f.u};
         },
     .module = "flambeau.linalg",
     .fields = "P, L, U",
     .reference = "scipy.linalg.lu(A)",
     .samples = "f(3, 3); f(4, 2)"});

}  // namespace flambeau::linalg
