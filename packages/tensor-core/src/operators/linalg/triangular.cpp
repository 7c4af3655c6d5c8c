// Triangular systems, Cholesky factorizations, and linear systems that are solved with their factors.
#include "flambeau/interpreter.h"
#include "flambeau/operator.h"
#include "operators/linalg/linalg_checks.h"

namespace flambeau::linalg {

namespace {

Tensor triangle(const Tensor& t, bool upper, bool strict) { return upper ? triu(t, strict) : tril(t, -int(strict)); }

// Solves A X = B for triangular A. The batches of A and B are broadcast.
Tensor solve_left(const Tensor& a, const Tensor& b, bool upper, bool unit) {
  const Tensor x = flambeau::solve_triangular(a, b, upper, unit);
  if (recording(a, b))
    record("LinalgSolveTriangular", x, {&a, &b}, {&a, &x}, [upper, unit](const Context& c) {
      const Tensor grad_b = solve_left(adjoint(c.saved(0)), c.gradient(), !upper, unit);
      if (c.needs(0)) c.set(0, triangle(-matmul(grad_b, adjoint(c.saved(1))), upper, unit));
      if (c.needs(1)) c.set(1, grad_b);
    });
  return x;
}

void explain_indefinite(std::ostream& text, int32_t info) {
  text << "The factorization could not be completed because the input is not positive-definite (the leading minor of "
       << "order " << info << " is not positive-definite).";
}

// Returns the Cholesky factor of A. Source of the derivative: Murray 2016, arXiv:1602.07527.
CholeskyFactor factored(const char* name, const Tensor& a, bool upper) {
  check_square(name, a);
  const CholeskyFactor f = cholesky_factor(a, upper);
  if (recording(a))
    record("LinalgCholeskyEx", f.factor, {&a}, {&f.factor}, [upper](const Context& c) {
      const Tensor adjoint_a = upper ? c.saved(0) : adjoint(c.saved(0));
      const Tensor inner = matmul(adjoint_a, upper ? adjoint(c.gradient()) : c.gradient());
      // As in PyTorch, the imaginary parts of the diagonal are included.
      const Tensor middle = (tril(inner, 0) + adjoint(tril(inner, -1))) * Scalar(0.5);
      c.set(0, adjoint(solve_left(adjoint_a, adjoint(solve_left(adjoint_a, middle, true, false)), true, false)));
    });
  return f;
}

Tensor twice_symmetric_part(const Tensor& t) { return t + adjoint(t); }

Tensor solve_factored(const Tensor& b, const Tensor& factor, bool upper) {
  Tensor x;
  {
    NoRecording off;
    const Tensor lower = upper ? adjoint(factor) : factor;
    x = flambeau::solve_triangular(adjoint(lower), flambeau::solve_triangular(lower, b, false, false), true, false);
  }
  if (recording(b, factor))
    record("CholeskySolve", x, {&b, &factor}, {&factor, &x}, [upper](const Context& c) {
      const Tensor &factor = c.saved(0), grad_b = solve_factored(c.gradient(), factor, upper);
      if (c.needs(0)) c.set(0, grad_b);
      if (!c.needs(1)) return;
      const Tensor both = twice_symmetric_part(matmul(grad_b, adjoint(c.saved(1))));
      c.set(1, -(upper ? matmul(factor, both) : matmul(both, factor)));
    });
  return x;
}

}  // namespace

Tensor solve_triangular(const Tensor& a, const Tensor& b, bool upper, bool left, bool unitriangular) {
  const char* name = "solve_triangular";
  check_square(name, a);
  check_matrix(name, b, "B");
  check_dtypes(name, a, b);
  check_fit(name, a, b, left);
  if (left) return solve_left(a, b, upper, unitriangular);
  return transpose(solve_left(transpose(a, -1, -2), transpose(b, -1, -2), !upper, unitriangular), -1, -2);
}

const Operator linalg_solve_triangular_operator(
    {.signature = "solve_triangular(A, B, *, upper, left=True, unitriangular=False)",
     .forms = kPrivate | kOut | kExactOut,
     .doc = R"(Solve ``A X = B`` (``X A = B`` with ``left=False``) for a triangular A.

Only one triangle is read: the upper one if ``upper``. With ``unitriangular``, the diagonal is assumed to be 1. A
zero on the diagonal produces infinities, not an error.

Args:
    A: ``(*, n, n)``, real or complex floating.
    B: ``(*, n, k)``, or ``(*, k, n)`` with ``left=False``; the batches broadcast.
Returns: a tensor with the shape of B, with the batches broadcast.
Raises: RuntimeError if shapes or dtypes do not match.
Gradient: A and B, any order.

>>> A = flambeau.tensor([[2.0, 0.0], [1.0, 4.0]])
>>> flambeau.linalg.solve_triangular(A, flambeau.tensor([[2.0], [5.0]]), upper=False)
tensor([[1.],
        [1.]]))",
     .forward = linalg::solve_triangular,
     .module = "flambeau.linalg",
     .reference = "scipy.linalg.solve_triangular(A, B, lower=not upper, unit_diagonal=unitriangular)",
     .samples = "np.tril(f(3, 3)) + 2 * np.eye(3), f(3, 2), upper=False; np.triu(f(3, 3)) + 2 * np.eye(3), f(3, 2), "
                "upper=True"});

CholeskyFactor cholesky_ex(const Tensor& a, bool upper, bool check_errors) {
  const CholeskyFactor f = factored("cholesky_ex", a, upper);
  if (check_errors) check_info("cholesky_ex", f.info, explain_indefinite);
  return f;
}

Tensor cholesky(const Tensor& a, bool upper) {
  const CholeskyFactor f = factored("cholesky", a, upper);
  check_info("cholesky", f.info, explain_indefinite);
  return f.factor;
}

const Operator linalg_cholesky_operator(
    {.signature = "cholesky(A, *, upper=False)",
     .forms = kPrivate | kOut | kFloat32,
     .doc = R"(Compute the Cholesky factor: lower triangular L with ``A = L L^H``; if ``upper``, U with ``A = U^H U``.

Args:
    A: ``(*, n, n)``, Hermitian positive definite; only its lower triangle is read (with ``upper``, the upper one).
Raises: LinAlgError if a matrix is not positive definite.
Gradient: A, any order. Source of the derivative: Murray 2016, arXiv:1602.07527.

>>> flambeau.linalg.cholesky(flambeau.tensor([[4.0, 2.0], [2.0, 10.0]]))
tensor([[2., 0.],
        [1., 3.]]))",
     .forward = linalg::cholesky,
     .module = "flambeau.linalg",
     .reference = "np.linalg.cholesky(A)",
     .samples = "2 * np.eye(3); np.array([[4.0, 1.0], [1.0, 3.0]])"});

const Operator cholesky_operator(
    {.signature = "cholesky(input, upper=False)",
     .forms = kFunction | kMethod | kOut | kFloat32,
     .doc = "Compute the Cholesky factor of every matrix, like flambeau.linalg.cholesky.",
     .forward =
         [](const Tensor& a, bool upper) {
           warn_once(
               "cholesky is deprecated in favor of linalg.cholesky and will be removed in a future release. For an "
               "upper factor, call linalg.cholesky(A, upper=True).");
           return cholesky(a, upper);
         },
     .reference = "np.linalg.cholesky(input).swapaxes(-1, -2) if upper else np.linalg.cholesky(input)",
     .samples = "np.array([[4.0, 2.0], [2.0, 3.0]]); np.array([[4.0, 2.0], [2.0, 3.0]]), True"});

Tensor cholesky_solve(const Tensor& b, const Tensor& factor, bool upper) {
  check_square("cholesky_solve", factor, "input2");
  check_matrix("cholesky_solve", b, "input");
  check_dtypes("cholesky_solve", b, factor);
  require(factor.size(-1) == b.size(-2), "cholesky_solve: Incompatible matrix sizes: each matrix A is ",
          Shape{factor.size(-2), factor.size(-1)}, ", B ", Shape{b.size(-2), b.size(-1)});
  return solve_factored(b, factor, upper);
}

const Operator cholesky_solve_operator(
    {.signature = "cholesky_solve(input, input2, upper=False)",
     .forms = kFunction | kMethod | kOut | kFloat32,
     .doc =
         R"(Solve ``A X = input`` with the Cholesky factor ``input2`` of A: L with ``A = L L^H`` or, if ``upper``, U.

Args:
    input: ``(*, n, k)``.
    input2: ``(*, n, n)``; the batches broadcast.
Gradient: input and input2, any order.)",
     .forward = linalg::cholesky_solve,
     .reference = "np.linalg.solve(np.tril(input2) @ np.tril(input2).T, input)",
     .samples = "f(3, 2), 2 * np.eye(3) + np.tril(f(3, 3)) / 4"});

// Computes the inverse of A from its Cholesky factor: L^-H L^-1.
Tensor cholesky_inverse(const Tensor& factor, bool upper) {
  check_square("cholesky_inverse", factor, "input");
  Tensor inverse;
  {
    NoRecording off;
    const Tensor lower = upper ? adjoint(factor) : factor,
                 identity = eye(factor.size(-1), factor.size(-1), factor.dtype());
    const Tensor root = flambeau::solve_triangular(lower, identity, false, false);
    inverse = matmul(adjoint(root), root);
  }
  if (recording(factor))
    record("CholeskyInverse", inverse, {&factor}, {&factor, &inverse}, [upper](const Context& c) {
      const Tensor &factor = c.saved(0), &inverse = c.saved(1);
      const Tensor both = matmul(matmul(inverse, twice_symmetric_part(c.gradient())), inverse);
      c.set(0, -(upper ? matmul(factor, both) : matmul(both, factor)));
    });
  return inverse;
}

const Operator cholesky_inverse_operator(
    {.signature = "cholesky_inverse(input, upper=False)",
     .forms = kFunction | kMethod | kOut | kFloat32,
     .doc =
         R"(Compute the inverse of A from its Cholesky factor: L with ``A = L L^H`` or, if ``upper``, U.

Gradient: input, any order.)",
     .forward = linalg::cholesky_inverse,
     .reference = "np.linalg.inv(np.tril(input) @ np.tril(input).T)",
     .samples = "2 * np.eye(3) + np.tril(f(3, 3)) / 4"});

TriangularSolution triangular_solve(const Tensor& b, const Tensor& a, bool upper, bool transposed, bool unitriangular) {
  check_square("triangular_solve", a);
  check_matrix("triangular_solve", b, "b");
  check_dtypes("triangular_solve", a, b);
  require(a.size(-1) == b.size(-2), "triangular_solve: Incompatible matrix sizes: A is ", Shape{a.size(-2), a.size(-1)},
          ", b ", Shape{b.size(-2), b.size(-1)});
  const Tensor x = solve_left(transposed ? transpose(a, -1, -2) : a, b, upper != transposed, unitriangular);
  Shape whole(x.shape().begin(), x.shape().end() - 2);
  whole.append(a.shape().end() - 2, a.shape().end());
  return {x, clone(whole == a.shape() ? a : expand(a, whole))};
}

const Operator triangular_solve_operator(
    {.signature = "triangular_solve(input, A, upper=True, transpose=False, unitriangular=False)",
     .forms = kFunction | kMethod | kOut | kExactOut | kFloat32,
     .doc = R"(Solve ``A X = input`` (``A^T X = input`` with ``transpose``) for a triangular A.

Returns: a named tuple ``(solution, cloned_coefficient)``; cloned_coefficient is a copy of A.
Gradient: input and A, any order. New programs should call flambeau.linalg.solve_triangular.)",
     .forward =
         [](const Tensor& b, const Tensor& a, bool upper, bool transpose, bool unitriangular) {
           warn_once(
               "triangular_solve is deprecated in favor of linalg.solve_triangular and will be removed in a future "
               "release. linalg.solve_triangular has its first two arguments in the other order.");
           const auto s = linalg::triangular_solve(b, a, upper, transpose, unitriangular);
           return Tensors{s.solution, s.coefficient};
         },
     .fields = "solution, cloned_coefficient"});

const Operator linalg_cholesky_ex_operator(
    {.signature = "cholesky_ex(A, *, upper=False, check_errors=False)",
     .forms = kPrivate | kOut | kExactOut | kFloat32,
     .doc =
         R"(Compute the Cholesky factor of a positive-definite matrix, with an error code instead of an exception.

Args:
    A: ``(*, n, n)``; only its lower triangle is read (with ``upper``, the upper one).
    upper: return U with ``A = U^H U`` instead of L with ``A = L L^H``.
    check_errors: raise LinAlgError if the matrix is not positive definite.
Returns: a named tuple ``(L, info)``; info, int32, is 0 or the size of the first leading minor that is not positive.
Gradient: A, any order.)",
     .forward =
         [](const Tensor& a, bool upper, bool check_errors) {
           const auto f = linalg::cholesky_ex(a, upper, check_errors);
           return Tensors{f.factor, f.info};
         },
     .module = "flambeau.linalg",
     .fields = "L, info",
     .reference = "(np.linalg.cholesky(A), np.int32(0))",
     .samples = "np.array([[4.0, 1.0], [1.0, 3.0]])"});

}  // namespace flambeau::linalg
