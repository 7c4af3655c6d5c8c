// Powers of matrices.
#include <utility>
#include "flambeau/operator.h"

#include "operators/linalg/linalg_checks.h"

namespace flambeau::linalg {

namespace {

Tensor zeroth_power(const Tensor& a) {
  const Tensor out = clone(expand(eye(a.size(-1), a.size(-1), a.dtype()), a.shape()));
  if (recording(a))
    record("LinalgConstant", out, {&a}, {},
           [shape = a.shape(), type = a.dtype()](const Context& c) { c.set(0, zeros(shape, type)); });
  return out;
}

}  // namespace

Tensor matrix_power(const Tensor& a, int64_t n) {
  if (a.dim() < 2 || a.size(-1) != a.size(-2)) check_square("matrix_power", a);  // check_square raises the error
  if (n == 0) return zeroth_power(a);
  require(n != INT64_MIN, "linalg.matrix_power: the exponent ", n, " cannot be negated");
  Tensor base = n < 0 ? inv(a) : a, out;
  for (uint64_t left = uint64_t(n < 0 ? -n : n);; base = matmul(base, base)) {
    if (left & 1) out = out.defined() ? matmul(out, base) : base;
    left >>= 1;
    if (!left) return out.same(a) ? clone(a) : out;
  }
}

const Operator linalg_matrix_power_operator(
    {.signature = "matrix_power(A, n)",
     .forms = kPrivate | kOut,
     .doc = R"(Compute the n-th power of ``A`` by repeated squaring; a negative n uses the inverse.

Args:
    A: ``(*, m, m)``.
Raises: LinAlgError for a negative power of a singular matrix.
Gradient: A, any order.

>>> flambeau.linalg.matrix_power(flambeau.tensor([[1.0, 1.0], [0.0, 1.0]]), 5)
tensor([[1., 5.],
        [0., 1.]]))",
     .forward = linalg::matrix_power,
     .module = "flambeau.linalg",
     .reference = "np.linalg.matrix_power(A, n)",
     .samples = "f(3, 3), 3; f(2, 3, 3), 0"});

const Operator matrix_power_operator({.signature = "matrix_power(input, n)",
                                      .forms = kFunction | kMethod | kOut,
                                      .doc = "Compute a power of every matrix, like flambeau.linalg.matrix_power.",
                                      .forward = linalg::matrix_power,
                                      .reference = "np.linalg.matrix_power(input, n)",
                                      .samples = "f(3, 3), 3; f(2, 3, 3), 0; np.eye(2) * 2 + f(2, 2) / 4, -2"});

}  // namespace flambeau::linalg
