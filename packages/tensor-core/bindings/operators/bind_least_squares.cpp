// The pseudo-inverse, least squares and the rank of a matrix, by singular value decomposition or QR.
#include <limits>

#include "calls/bind.h"
#include "flambeau/autograd.h"
#include "flambeau/operators/linalg.h"
#include "operators/decompositions.h"

namespace flambeau::python {

namespace {

using linalg::adjoint;

// Limits of singular values that are treated as zero: max(absolute, relative * largest singular value).
struct Tolerances {
  std::optional<Operand> absolute, relative;
};

std::optional<Operand> tolerance(const char* name, const char* what, PyObject* o) {
  if (o == Py_None) return std::nullopt;
  Operand out(0);
  require<TypeError>(to_operand(o, out), "linalg.", name, ": ", what, " must be a number or a Tensor, not ",
                     Py_TYPE(o)->tp_name);
  require(!out.tensor || !is_complex(out.tensor->dtype()), "linalg.", name, ": ", what,
          " tensor of complex type is not supported. Got ", out.tensor ? out.tensor->dtype() : Dtype::float32);
  return out;
}

double epsilon_of(const Tensor& a) {
  return to_real(a.dtype()) == Dtype::float64 ? std::numeric_limits<double>::epsilon()
                                              : double(std::numeric_limits<float>::epsilon());
}

// Returns for each matrix of `a`, which has the singular values `s`, the threshold up to which a singular value is
// treated as zero.
Tensor thresholds(const Tensor& s, const Tensor& a, const Tolerances& t) {
  const Shape batch(s.shape().begin(), s.shape().end() - 1);
  const Tensor largest = s.size(-1) ? amax(s, Shape{-1}, false) : zeros(batch, s.dtype());
  const double usual = epsilon_of(a) * double(std::max(a.size(-2), a.size(-1)));
  if (!(t.absolute && t.absolute->tensor) && !(t.relative && t.relative->tensor)) {
    const double absolute = t.absolute ? t.absolute->scalar.real() : 0.0;
    if (absolute == 0) return largest * Scalar(t.relative ? t.relative->scalar.real() : usual);
    return maximum(largest * Scalar(t.relative ? t.relative->scalar.real() : 0.0), Scalar(absolute));
  }
  const Operand given = t.absolute.value_or(Operand(Scalar(0.0)));
  const Tensor absolute = given.tensor ? to(*given.tensor, s.dtype()) : scalar_tensor(given.scalar, s.dtype());
  if (!t.relative) return where(gt(absolute, Scalar(0)), absolute, largest * Scalar(usual));
  return to(maximum(mul(*t.relative, largest), absolute), s.dtype());
}

Tensor inverted(const Tensor& s, const Tensor& threshold) {
  return where(gt(abs(s), unsqueeze(threshold, -1)), reciprocal(s), Scalar(0));
}

// Returns the gradient of A for the gradient `grad` of its pseudo-inverse P. Valid for matrices of constant rank
// (Golub, Pereyra 1973).
Tensor gradient_of_inverse(const Tensor& a, const Tensor& p, const Tensor& grad) {
  const Tensor g = adjoint(grad), adjoint_p = adjoint(p);
  if (a.size(-2) <= a.size(-1)) {
    const Tensor k = matmul(g, p), outer = matmul(k, adjoint_p);
    return outer - adjoint(matmul(p, k)) - matmul(matmul(a, p), outer) + matmul(matmul(adjoint_p, p), g - matmul(k, a));
  }
  const Tensor k = matmul(p, g), outer = matmul(adjoint_p, k);
  return outer - adjoint(matmul(k, p)) + matmul(matmul(g - matmul(a, k), p), adjoint_p) - matmul(matmul(outer, p), a);
}

Tensor pseudo_inverse(const Tensor& a, const Tolerances& tolerances, bool hermitian) {
  Tensor p;
  {
    NoRecording off;
    if (hermitian) {
      const Eigen e = hermitian_eigen("pinv", a, "L", true);
      const Tensor values = inverted(e.values, thresholds(abs(e.values), a, tolerances));
      p = matmul(e.vectors * unsqueeze(values, -2), adjoint(e.vectors));
    } else {
      const SingularValues f = singular_decomposition("pinv", a, false, true);
      const Tensor values = inverted(f.values, thresholds(f.values, a, tolerances));
      p = matmul(adjoint(f.vh) * unsqueeze(values, -2), adjoint(f.u));
    }
  }
  if (recording(a))
    record("LinalgPinv", p, {&a}, {&a, &p},
           [](const Context& c) { c.set(0, gradient_of_inverse(c.saved(0), c.saved(1), c.gradient())); });
  return p;
}

Tensor pinv(const Tensor& a, PyObject* rcond, bool hermitian, PyObject* atol, PyObject* rtol) {
  hermitian ? linalg::check_square("pinv", a) : linalg::check_matrix("pinv", a);
  if (a.numel() == 0) return transpose(a, -2, -1) * Scalar(1);
  return pseudo_inverse(a, {tolerance("pinv", "atol", atol), tolerance("pinv", "rtol", rtol == Py_None ? rcond : rtol)},
                        hermitian);
}

Tensor matrix_rank(const Tensor& a, PyObject* tol, bool hermitian, PyObject* atol, PyObject* rtol) {
  hermitian ? linalg::check_square("matrix_rank", a) : linalg::check_matrix("matrix_rank", a);
  NoRecording off;
  Tolerances tolerances{tolerance("matrix_rank", "atol", tol == Py_None ? atol : tol),
                        tolerance("matrix_rank", "rtol", rtol)};
  if (tol != Py_None) tolerances.relative = Operand(Scalar(0.0));
  if (a.numel() == 0) return zeros(Shape(a.shape().begin(), a.shape().end() - 2), Dtype::int64);
  const Tensor s = hermitian ? abs(hermitian_eigen("matrix_rank", a, "L", false).values)
                             : singular_decomposition("matrix_rank", a, false, false).values;
  return sum(lt(unsqueeze(thresholds(s, a, tolerances), -1), s), Shape{-1}, false, {});
}

// Returns the norm of each column.
Tensor column_norms(const Tensor& t) { return sqrt(sum(square(abs(t)), Shape{-2}, true, {})); }

// Estimates the largest singular value of each n x n matrix M by the power method: multiply(x), which returns M^H M x,
// is applied three times to eight vectors of cosines. The result is at most the singular value. It is much less only if
// all vectors are nearly orthogonal to the singular vector.
template <class F>
Tensor estimated_spectral_norm(int64_t n, Dtype dtype, F&& multiply) {
  constexpr int64_t kVectors = 8;
  Tensor x = to(reshape(cos(arange(1, n * kVectors + 1, 1, Dtype::float64)), {n, kVectors}), dtype), growth;
  for (int step = 0; step < 3; ++step) {
    x = multiply(x / column_norms(x));
    growth = column_norms(x);
  }
  return sqrt(amax(growth, Shape{-2, -1}, false));
}

// Returns, for each upper triangular matrix R, true if its smallest singular value exceeds `rcond` times the largest.
// The product of the estimates may be half of the condition number, so the result may be false even if R has this
// property.
Tensor is_well_conditioned(const Tensor& r, double rcond) {
  const Tensor adjoint_r = adjoint(r);
  const auto norm_by = [&](auto&& multiply) { return estimated_spectral_norm(r.size(-1), r.dtype(), multiply); };
  const Tensor norm = norm_by([&](const Tensor& x) { return matmul(adjoint_r, matmul(r, x)); });
  const Tensor inverse_norm = norm_by([&](const Tensor& x) {
    return linalg::solve_triangular(r, linalg::solve_triangular(adjoint_r, x, false, true, false), true, true, false);
  });
  return lt(norm * inverse_norm, Scalar(0.5 / rcond));
}

// Solves A X = B by QR for matrices A of full rank. The result is the least-squares solution or, if there are several
// exact solutions, the solution of least norm. On the CPU, `conditioned` receives the result of is_well_conditioned().
Tensor solve_full_rank(const Tensor& a, const Tensor& b, double rcond = 0, Tensor* conditioned = nullptr) {
  const int64_t m = a.size(-2), n = a.size(-1);
  if (a.is_cuda()) {  // the GPU computes Q as an explicit matrix, not as reflectors
    const linalg::Qr f = linalg::qr(m >= n ? a : adjoint(a), "reduced");
    if (m >= n) return linalg::solve_triangular(f.r, matmul(adjoint(f.q), b), true, true, false);
    return matmul(f.q, linalg::solve_triangular(adjoint(f.r), b, false, true, false));
  }
  const QrFactors f = linalg::geqrf(m >= n ? a : adjoint(a));
  const Tensor r = triu(narrow(f.reflectors, -2, 0, std::min(m, n)), 0);
  if (conditioned) *conditioned = is_well_conditioned(r, rcond);
  if (m >= n) {
    const Tensor projected = narrow(linalg::ormqr(f.reflectors, f.tau, b, true, true), -2, 0, n);
    return linalg::solve_triangular(r, projected, true, true, false);
  }
  const Tensor y = linalg::solve_triangular(adjoint(r), b, false, true, false);
  Shape rest = y.shape();
  rest[rest.size() - 2] = n - m;
  return linalg::ormqr(f.reflectors, f.tau, cat({y, zeros(rest, y.dtype())}, -2), true, false);
}

// Checks the result X of solve_full_rank(). Raises LinAlgError if a matrix does not have full rank, because its factor
// R has a zero on the diagonal. As in LAPACK, X is 0 for matrices of zeros.
void check_full_rank(const Tensor& a, Tensor& x) {
  if (a.is_meta() || a.numel() == 0 || item(all(isfinite(x), {}, false)).truth()) return;
  const Tensor r = linalg::qr(a.size(-2) >= a.size(-1) ? a : adjoint(a), "r").r;
  const Tensor is_zero = eq(diagonal(r, 0, -2, -1), Scalar(0)),
               has_elements = any(ne(a, Scalar(0)), Shape{-2, -1}, false);
  const Tensor is_deficient = logical_and(any(is_zero, Shape{-1}, false), has_elements);
  const int64_t deficient = item(sum(is_deficient, {}, false, {})).integer();
  require<linalg::LinAlgError>(deficient == 0,
                               "linalg.lstsq: The least squares solution could not be computed because ", deficient,
                               " of ", has_elements.numel(),
                               " input matrices do not have full rank: the factor R has a zero on its diagonal. The "
                               "driver 'gelsd' needs no full rank.");
  x = where(unsqueeze(unsqueeze(has_elements, -1), -1), x, Scalar(0));
}

struct LeastSquares {
  Tensor solution, rank, values;
};

// Returns the least-squares solution of least norm, by singular value decomposition.
LeastSquares solve_smallest(const Tensor& a, const Tensor& b, double rcond) {
  const SingularValues f = singular_decomposition("lstsq", a, false, true);
  const Tensor threshold = thresholds(f.values, a, {std::nullopt, Operand(Scalar(rcond))});
  const Tensor inverse = unsqueeze(inverted(f.values, threshold), -1);
  return {matmul(adjoint(f.vh), inverse * matmul(adjoint(f.u), b)),
          sum(lt(unsqueeze(threshold, -1), f.values), Shape{-1}, false, {}), f.values};
}

// Returns the least-squares solution of least norm without the singular values. For well-conditioned matrices, the
// solution is computed by QR, which is many times faster than the singular value decomposition for the others.
LeastSquares solve_smallest_by_reflections(const Tensor& a, const Tensor& b, double rcond) {
  const int64_t m = a.size(-2), n = a.size(-1), k = b.size(-1);
  const Shape batch(a.shape().begin(), a.shape().end() - 2);
  if (a.is_cuda() || a.is_meta() || a.numel() == 0 || batch != Shape(b.shape().begin(), b.shape().end() - 2))
    return solve_smallest(a, b, rcond);
  Tensor conditioned;
  LeastSquares out{solve_full_rank(a, b, rcond, &conditioned), full(batch, Scalar(std::min(m, n)), Dtype::int64), {}};
  const int64_t count = conditioned.numel();
  const Tensor others = reshape(nonzero(eq(reshape(conditioned, {count}), Scalar(false))), {-1});
  if (others.numel() == 0) return out;
  const auto part = [&](const Tensor& t, int64_t columns) {
    return index_select(reshape(t, {count, m, columns}), 0, others);
  };
  const LeastSquares found = solve_smallest(part(a, n), part(b, k), rcond);
  const auto with = [&](const Tensor& t, const Shape& flat, const Tensor& values) {
    return reshape(index_copy(reshape(t, flat), 0, others, values), t.shape());
  };
  return {with(out.solution, {count, n, k}, found.solution), with(out.rank, {count}, found.rank), {}};
}

LeastSquares solved(const Tensor& a, const Tensor& b, double rcond, std::string_view driver) {
  LeastSquares out;
  {
    NoRecording off;
    if (driver == "gels") {
      out = {solve_full_rank(a, b), empty({0}, Dtype::int64), empty({0}, to_real(a.dtype()))};
      check_full_rank(a, out.solution);
    } else {
      out = driver == "gelsy" ? solve_smallest_by_reflections(a, b, rcond) : solve_smallest(a, b, rcond);
    }
  }
  if (recording(a, b))  // record the derivative of X = pinv(A) B
    record("LinalgLstsq", out.solution, {&a, &b}, {&a, &b}, [rcond](const Context& c) {
      const Tensor &a = c.saved(0), &b = c.saved(1), &grad = c.gradient();
      const Tensor p = pseudo_inverse(a, {Operand(Scalar(0.0)), Operand(Scalar(rcond))}, false);
      if (c.needs(0)) c.set(0, gradient_of_inverse(a, p, matmul(grad, adjoint(b))));
      if (c.needs(1)) c.set(1, matmul(adjoint(p), grad));
    });
  return out;
}

// Returns true if B contains one vector per matrix of A. Checks the arguments.
bool right_side_is_vector(const Tensor& a, const Tensor& b) {
  linalg::check_matrix("lstsq", a);
  require(b.dim() >= 1, "linalg.lstsq: other must have at least 1 dimension.");
  const int missing = a.dim() - b.dim();
  require(missing == 0 || missing == 1,
          "linalg.lstsq: input.dim() must be greater or equal to other.dim() and (input.dim() - other.dim()) <= 1: ",
          a.shape(), " and ", b.shape());
  require(a.dtype() == b.dtype(), "linalg.lstsq: Expected A and B to have the same dtype, but found A of type ",
          a.dtype(), " and B of type ", b.dtype(), " instead");
  const bool vector = missing == 1 && b.shape() == Shape(a.shape().begin(), a.shape().end() - 1);
  require(a.size(-2) == b.size(missing == 1 ? -1 : -2) || (missing == 1 && b.dim() == 0),
          "linalg.lstsq: input.size(-2) should match other.size(", vector ? -1 : -2, "): ", a.shape(), " and ",
          b.shape());
  return vector;
}

PyObject* lstsq(const Tensor& a, const Tensor& given, std::optional<double> rcond,
                std::optional<std::string_view> driver) {
  const bool vector = right_side_is_vector(a, given);
  const Tensor b = a.dim() - given.dim() == 1 ? unsqueeze(given, -1) : given;
  const std::string_view chosen = driver.value_or("gelsy");
  require(chosen == "gels" || chosen == "gelsy" || chosen == "gelsd" || chosen == "gelss",
          "linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss), got ", chosen);
  const int64_t m = a.size(-2), n = a.size(-1);
  const bool full_rank = chosen == "gels";
  const LeastSquares f = solved(a, b, rcond.value_or(epsilon_of(a) * double(std::max(m, n))), chosen);
  const Tensor none = empty({0}, to_real(a.dtype()));
  const bool has_residuals =
      m > n && chosen != "gelsy" && (full_rank || item(all(eq(f.rank, Scalar(n)), {}, false)).truth());
  const Tensor residuals = has_residuals ? sum(square(abs(matmul(a, f.solution) - b)), Shape{-2}, false, {}) : none;
  return named_tuple("linalg_lstsq", {vector ? squeeze(f.solution, Shape{-1}) : f.solution, residuals, f.rank,
                                      chosen == "gelsy" ? none : f.values});
}

}  // namespace

void bind_least_squares() {
  def_linalg("pinv(A, rcond=None, hermitian=False, *, atol=None, rtol=None)",
             R"(Compute the Moore-Penrose pseudo-inverse of every matrix from its singular values.

Args:
    A: ``(*, m, n)``.
    rcond: an older name of rtol.
    hermitian: if True, A must be Hermitian. Only its lower triangle is read.
    atol, rtol: singular values up to ``max(atol, rtol * largest)`` count as zero: numbers, or tensors that
        broadcast to the batch. By default, atol is 0, and rtol is ``max(m, n) * eps`` if atol is 0, otherwise 0.
Returns: ``(*, n, m)``.
Gradient: A, any order, where its rank does not change. Source: Golub, Pereyra 1973.)",
             pinv, kOut | kFloat32);
  def("pinverse(input, rcond=1e-15)", kFunction | kMethod | kFloat32,
      "Compute the pseudo-inverse of a matrix, like flambeau.linalg.pinv with rtol=rcond. Gradient: input.",
      [](const Tensor& a, PyObject* rcond) { return pinv(a, rcond, false, Py_None, Py_None); });
  def_linalg("matrix_rank(A, tol=None, hermitian=False, *, atol=None, rtol=None)",
             R"(Count the singular values above ``max(atol, rtol * largest)``.

Args:
    A: ``(*, m, n)``.
    tol: an older name of atol with rtol 0.
    hermitian: if True, A must be Hermitian. Only its lower triangle is read, and the absolute eigenvalues are counted.
    atol, rtol: numbers or tensors that broadcast to the batch. By default, atol is 0, and rtol is ``max(m, n) * eps``
        if atol is 0, otherwise 0.
Returns: an int64 tensor with the shape of the batch. No gradient.

>>> flambeau.linalg.matrix_rank(flambeau.tensor([[1.0, 2.0], [2.0, 4.0]]))
tensor(1))",
             matrix_rank, kOut | kFloat32);
  def_linalg(
      "lstsq(A, B, rcond=None, *, driver=None)",
      R"(Compute X that minimises ``norm(A X - B)``. Of several solutions, return the X of least norm (not with "gels").

Args:
    A: ``(*, m, n)``.
    B: ``(*, m, k)``, or ``(*, m)``.
    rcond: singular values up to rcond times the largest count as zero; by default eps times the larger of m and n.
    driver: "gels" (QR, for A of full rank), "gelsy" (the default), "gelsd", "gelss" (singular values).
Returns: a named tuple ``(solution, residuals, rank, singular_values)``. residuals: the sums of squares of
    ``A X - B``; empty with "gelsy", if m <= n, or if a matrix does not have full rank. rank: empty with "gels".
    singular_values: empty except with "gelsd" and "gelss".
Raises: LinAlgError with "gels" if a matrix does not have full rank.
Gradient: A and B, any order, where the rank does not change.)",
      lstsq, kOut | kFloat32);
}

}  // namespace flambeau::python
