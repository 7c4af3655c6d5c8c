// The QR factorization and Householder reflectors.
#include "flambeau/autograd.h"
#include "flambeau/cuda/array_library.h"
#include "flambeau/interpreter.h"
#include "flambeau/operator.h"
#include "operators/linalg/linalg_checks.h"
#include "operators/without_derivative.h"

namespace flambeau::linalg {

namespace {

enum class Mode : uint8_t { Reduced, Complete, R };

Mode mode_of(std::string_view text) {
  if (text == "reduced") return Mode::Reduced;
  if (text == "complete") return Mode::Complete;
  require(text == "r", "qr received unrecognized mode '", text,
          "' but expected one of 'reduced' (default), 'r', or 'complete'");
  return Mode::R;
}

// For the upper triangle X of a matrix, returns X + X^H, but with the real part of the diagonal added only once.
Tensor symmetric_of_triangle(const Tensor& x) {
  const Tensor upper = triu(x, 0), both = upper + adjoint(triu(upper, 1));
  if (!is_complex(x.dtype())) return both;
  const Tensor diagonal = tril(upper, 0);
  return both - (diagonal - adjoint(diagonal)) * Scalar(0.5);
}

Tensor sum_of(const Tensor& a, const Tensor& b) { return !a.defined() ? b : !b.defined() ? a : a + b; }

// Returns the gradient of A = Q R for square R: (gQ + Q S) R^-H, where S is symmetric_of_triangle(gR R^H - Q^H gQ). One
// of the gradients gQ and gR may be undefined.
Tensor square_gradient(const Tensor& q, const Tensor& r, const Tensor& grad_q, const Tensor& grad_r) {
  Tensor middle;
  if (grad_r.defined()) middle = matmul(grad_r, adjoint(r));
  if (grad_q.defined()) middle = sum_of(middle, -matmul(adjoint(q), grad_q));
  const Tensor total = sum_of(grad_q, matmul(q, symmetric_of_triangle(middle)));
  return adjoint(solve_triangular(r, adjoint(total), true, true, false));
}

// Returns the gradient if A has more columns than rows. With A = [X Y] and R = [R1 R2], X = Q R1 has a square R1, and
// R2 = Q^H Y.
Tensor wide_gradient(const Tensor& q, const Tensor& r, const Tensor& grad_q, const Tensor& grad_r) {
  const int64_t m = r.size(-2), others = r.size(-1) - m;
  Tensor through, grad_r1, grad_y;
  if (grad_r.defined()) {
    const Tensor rest = narrow(grad_r, -1, m, others);
    grad_r1 = narrow(grad_r, -1, 0, m);
    through = matmul(matmul(q, narrow(r, -1, m, others)), adjoint(rest));
    grad_y = matmul(q, rest);
  } else {
    Shape shape = q.shape();
    shape.back() = others;
    grad_y = zeros(shape, q.dtype());
  }
  return cat({square_gradient(q, narrow(r, -1, 0, m), sum_of(grad_q, through), grad_r1), grad_y}, -1);
}

void record_qr(const Tensor& a, const Qr& f, Mode mode) {
  const auto derivative = [mode](const Context& c) {
    require(mode != Mode::R,
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'; use mode='reduced'");
    const Tensor &q = c.saved(0), &r = c.saved(1);
    const bool tall = r.size(-1) <= q.size(-2);
    require(mode != Mode::Complete || q.size(-2) <= r.size(-1),
            "The QR decomposition is not differentiable when mode='complete' and nrows > ncols.");
    c.set(0, (tall ? square_gradient : wide_gradient)(q, r, c.gradient(0), c.gradient(1)));
  };
  const Tensor *outputs[] = {&f.q, &f.r}, *inputs[] = {&a};
  Recording recording{"LinalgQr", Recording::kFresh, outputs, 2, inputs, 1, outputs, 2, derivative, false};
  autograd_hooks->record(recording);
}

Qr factored(const Tensor& a, Mode mode) {
  const bool only_r = mode == Mode::R;
  const Tensor no_q = only_r ? empty({0}, a.dtype()) : Tensor();
  if (const Tensors found = cuda::by_array_library("qr", a, {mode == Mode::Complete, only_r}); !found.empty())
    return {only_r ? no_q : found[0], found.back()};
  const int64_t m = a.size(-2), k = std::min(m, a.size(-1));
  const QrFactors f = qr_factor(a);
  return {only_r ? no_q : flambeau::householder_product(f.reflectors, f.tau, mode == Mode::Complete ? m : k),
          triu(mode == Mode::Complete || k == m ? f.reflectors : narrow(f.reflectors, -2, 0, k), 0)};
}

// Returns the vectors v of the reflectors 1 - tau v v^H. They are packed below the diagonal of A, without their leading
// ones.
Tensor vectors_of(const Tensor& a, int64_t k) { return tril(narrow(a, -1, 0, k), -1) + eye(a.size(-2), k, a.dtype()); }

// Records a result that does not depend on the values of its inputs. The gradients of the inputs are zero.
Tensor constant(const Tensor& result, const Tensor& a, const Tensor& tau) {
  if (recording(a, tau))
    record("LinalgConstant", result, {&a, &tau}, {},
           [first = a.shape(), second = tau.shape(), type = a.dtype()](const Context& c) {
             c.set(0, zeros(first, type));
             c.set(1, zeros(second, type));
           });
  return result;
}

// Computes Q C or, if `apply_adjoint`, Q^H C. If a gradient is required, applies one reflection after the other.
Tensor reflect(const Tensor& a, const Tensor& tau, Tensor c, bool apply_adjoint) {
  if (!recording(a, tau, c)) return apply_reflectors(a, tau, c, apply_adjoint);
  const int64_t k = tau.size(-1);
  if (k == 0) return recording(c) ? clone(c) : constant(clone(c), a, tau);
  const Tensor vectors = vectors_of(a, k), factors = apply_adjoint ? conj(tau) : tau;
  for (int64_t s = 0; s < k; ++s) {
    const int64_t i = apply_adjoint ? s : k - 1 - s;
    const Tensor v = narrow(vectors, -1, i, 1), factor = unsqueeze(narrow(factors, -1, i, 1), -1);
    c = c - matmul(factor * v, matmul(adjoint(v), c));
  }
  return c;
}

void check_factors(const char* name, const Tensor& a, const Tensor& tau) {
  const Shape batch(a.shape().begin(), a.shape().end() - 2);
  require(tau.dim() == a.dim() - 1 && (tau.dim() <= 1 || Shape(tau.shape().begin(), tau.shape().end() - 1) == batch),
          name, ": Expected tau to have one dimension less than input and its batch: tau has shape ", tau.shape(),
          ", input ", a.shape());
  require(tau.dtype() == a.dtype(), name, ": tau dtype ", tau.dtype(), " does not match input dtype ", a.dtype());
}

int64_t factor_count(const Tensor& tau) { return tau.dim() ? tau.size(-1) : 0; }

void check_product(const Tensor& input, const Tensor& tau, const Tensor& other, bool left) {
  for (const auto& [name, t] : {std::pair("input", &input), std::pair("other", &other)}) {
    require(t->dim() >= 2, "ormqr: ", name, " must have at least 2 dimensions, got shape ", t->shape());
    check_inexact("ormqr", *t);
  }
  const int side = left ? -2 : -1;
  require(other.size(side) >= factor_count(tau), "ormqr: other.shape[", side,
          "] must be greater than or equal to tau.shape[-1]: ", other.shape(), " and ", tau.shape());
  require(other.size(side) == input.size(-2), "ormqr: other.shape[", side,
          "] must be equal to input.shape[-2]: ", other.shape(), " and ", input.shape());
  require(factor_count(tau) <= input.size(-1),
          "ormqr: tau.shape[-1] must be less than or equal to input.shape[-1]: ", tau.shape(), " and ", input.shape());
  check_factors("ormqr", input, tau);
  const Shape batch(input.shape().begin(), input.shape().end() - 2),
      given(other.shape().begin(), other.shape().end() - 2);
  require(batch == given, "ormqr: batch dimensions of other should be equal to those of input, got ", given, " and ",
          batch);
  require(other.dtype() == input.dtype(), "ormqr: expected input and other to have the same dtype, got ", input.dtype(),
          " and ", other.dtype());
}

}  // namespace

Qr qr(const Tensor& a, std::string_view mode_name) {
  const Mode mode = mode_of(mode_name);
  check_matrix("qr", a);
  Qr out;
  {
    NoRecording off;
    out = factored(a, mode);
  }
  if (recording(a)) record_qr(a, out, mode);
  return out;
}

Tensor householder_product(const Tensor& input, const Tensor& tau) {
  check_matrix("householder_product", input, "input");
  const int64_t m = input.size(-2), n = input.size(-1);
  require(m >= n,
          "linalg.householder_product: input.shape[-2] must be greater than or equal to input.shape[-1], got shape ",
          input.shape());
  require(n >= factor_count(tau),
          "linalg.householder_product: input.shape[-1] must be greater than or equal to tau.shape[-1]: ", input.shape(),
          " and ", tau.shape());
  check_factors("linalg.householder_product", input, tau);
  if (!recording(input, tau)) return flambeau::householder_product(input, tau, n);
  return reflect(input, tau, expand(eye(m, n, input.dtype()), input.shape()), false);
}

const Operator linalg_householder_product_operator(
    {.signature = "householder_product(input, tau)",
     .forms = kPrivate | kOut | kFloat32,
     .doc =
         R"(Compute Q from geqrf: the first n columns of ``H_1 H_2 ... H_k``, where ``H_i = 1 - tau_i v_i v_i^H``.

Args:
    input: ``(*, m, n)``, m >= n. Column i contains v_i, without its leading 1, below the diagonal.
    tau: ``(*, k)``, k <= n.
Gradient: input and tau, any order.)",
     .forward = linalg::householder_product,
     .module = "flambeau.linalg"});

const Operator orgqr_operator(
    {.signature = "orgqr(input, input2)",
     .forms = kFunction | kMethod | kOut | kFloat32,
     .doc = "Compute the columns of Q from its reflectors, like flambeau.linalg.householder_product.",
     .forward = householder_product});

Tensor ormqr(const Tensor& input, const Tensor& tau, const Tensor& other, bool left, bool transposed) {
  check_product(input, tau, other, left);
  if (left) return reflect(input, tau, other, transposed);
  return adjoint(reflect(input, tau, adjoint(other), !transposed));
}

const Operator ormqr_operator(
    {.signature = "ormqr(input, tau, other, left=True, transpose=False)",
     .forms = kFunction | kMethod | kOut | kExactOut | kFloat32,
     .doc = R"(Compute ``Q C``, ``Q^H C``, ``C Q`` or ``C Q^H`` from the reflectors of Q, without computing Q.

Args:
    input: ``(*, mn, k)``, the reflectors that geqrf returns.
    tau: ``(*, k)``.
    other: C, ``(*, m, n)``; mn is m if ``left`` is True, otherwise n.
    left: if True, Q is on the left.
    transpose: if True, use ``Q^H`` instead of Q.
Gradient: input, tau and other, any order.)",
     .forward = linalg::ormqr});

QrFactors geqrf(const Tensor& input) {
  check_matrix("geqrf", input);
  QrFactors factors = qr_factor(input);
  record_without_derivative("geqrf", {&factors.reflectors, &factors.tau}, input);
  return factors;
}

const Operator geqrf_operator(
    {.signature = "geqrf(input)",
     .forms = kFunction | kMethod | kOut | kFloat32,
     .doc =
         R"(Compute a QR factorisation in compact form: R, Householder reflectors below the diagonal, and their factors.

Args:
    input: ``(*, m, n)``.
Returns: a named tuple ``(a, tau)`` of ``(*, m, n)`` and ``(*, min(m, n))``, for householder_product and ormqr.
Not differentiable: a backward pass raises NotImplementedError.)",
     .forward =
         [](const Tensor& a) {
           const QrFactors f = linalg::geqrf(a);
           return Tensors{f.reflectors, f.tau};
         },
     .fields = "a, tau"});

const Operator linalg_qr_operator(
    {.signature = "qr(A, mode='reduced')",
     .forms = kPrivate | kOut | kExactOut | kFloat32,
     .doc = R"(Factorise ``A = Q R`` by Householder reflections: Q has orthonormal columns, and R is upper triangular.

Args:
    A: ``(*, m, n)``; k is the smaller of m and n.
    mode: "reduced" returns Q ``(*, m, k)`` and R ``(*, k, n)``; "complete" returns ``(*, m, m)`` and ``(*, m, n)``; "r"
        returns R and an empty Q.
Returns: a named tuple ``(Q, R)``. The diagonal of R may be negative.
Gradient: A, any order, where the leading k columns of A are independent; not for "r", nor for "complete" with more rows
    than columns. Source: Walter, Lehmann 2010, arXiv:1009.6112; Roberts, Roberts 2020, arXiv:2009.10071.)",
     .forward =
         [](const Tensor& a, std::string_view mode) {
           const auto f = linalg::qr(a, mode);
           return Tensors{f.q, f.r};
         },
     .module = "flambeau.linalg",
     .fields = "Q, R",
     .reference = "np.linalg.qr(A, mode)",
     .samples = "f(4, 3); f(3, 4)"});

const Operator qr_operator({.signature = "qr(input, some=True)",
                            .forms = kFunction | kMethod | kOut | kExactOut | kFloat32,
                            .doc = "Factorise ``input = QR`` like flambeau.linalg.qr, in the mode \"reduced\", or "
                                   "\"complete\" if ``some`` is False.",
                            .forward =
                                [](const Tensor& a, bool some) {
                                  warn_once(
                                      "qr is deprecated in favor of linalg.qr and will be removed in a future "
                                      "release. The argument some=False becomes mode='complete'.");
                                  const auto f = linalg::qr(a, some ? "reduced" : "complete");
                                  return Tensors{f.q, f.r};
                                },
                            .fields = "Q, R",
                            .reference = "np.linalg.qr(input, 'reduced' if some else 'complete')",
                            .samples = "f(4, 3); f(3, 4)"});

}  // namespace flambeau::linalg
