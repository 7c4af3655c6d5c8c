// Special functions with a parameter of their own beside their row.
#include "bind.h"
#include "flambeau/rows/special.h"
#include "flambeau/rows/special_scalar.h"

#include <cmath>

namespace flambeau::python {

namespace {

Tensor polygamma(int64_t n, const Tensor& x) {
  require(n >= 0, "polygamma(n, x) does not support negative n.");
  return n == 0 ? digamma(x) : _polygamma(x, double(n));
}

// The logarithm of the multivariate gamma function: a product of p gamma functions, half a step apart.
Tensor mvlgamma(const Tensor& x, int64_t p) {
  require(p >= 1, "p has to be greater than or equal to 1, got ", p);
  const Tensor a = is_floating(x.dtype()) ? x : to(x, default_dtype());
  if (p == 1) return lgamma(a);
  const Tensor steps = mul(arange(Scalar(0), Scalar(p), Scalar(1), a.dtype()), Scalar(0.5));
  const Tensor factors = lgamma(unsqueeze(a, -1) - steps);
  return sum(factors, Shape{-1}, false, {}) + Scalar(0.25 * double(p) * double(p - 1) * 1.1447298858494002);
}

}  // namespace

void bind_special() {
  def("polygamma(n, input)", kFunction | kOut, "The n-th derivative of digamma, n >= 0. Gradient: input, any order.",
      polygamma);
  def("polygamma(input, n)", kMethod | kInPlace, "The n-th derivative of digamma, n >= 0.",
      [](const Tensor& x, int64_t n) { return polygamma(n, x); });
  def("mvlgamma(input, p)", kFunction | kMethod | kInPlace | kOut,
      "Logarithm of the multivariate gamma function of dimension p. Gradient: input, any order.", mvlgamma);
}

}  // namespace flambeau::python
