// Special functions with a parameter that is not an operand of the pointwise operator that they call.
#include "flambeau/pointwise/special.h"
#include "flambeau/operator.h"
#include "flambeau/pointwise/special_scalar.h"

namespace flambeau {

namespace {

Tensor polygamma(int64_t n, const Tensor& x) {
  require(n >= 0, "polygamma(n, x) does not support negative n.");
  return n == 0 ? digamma(x) : _polygamma(x, double(n));
}

// Computes the logarithm of the multivariate gamma function: a product of p gamma functions, whose arguments decrease
// in steps of one half.
Tensor mvlgamma(const Tensor& x, int64_t p) {
  require(p >= 1, "p has to be greater than or equal to 1, got ", p);
  const Tensor a = is_floating(x.dtype()) ? x : to(x, default_dtype());
  if (p == 1) return lgamma(a);
  const Tensor steps = mul(arange(Scalar(0), Scalar(p), Scalar(1), a.dtype()), Scalar(0.5));
  const Tensor factors = lgamma(unsqueeze(a, -1) - steps);
  return sum(factors, Shape{-1}, false, {}) + Scalar(0.25 * double(p) * double(p - 1) * 1.1447298858494002);
}

const Operator polygamma_operator({.signature = "polygamma(n, input)",
                                   .forms = kFunction | kOut,
                                   .doc = "Compute the n-th derivative of digamma, n >= 0. Gradient: input, any order.",
                                   .forward = polygamma,
                                   .reference = "scipy.special.polygamma(n, input)",
                                   .samples = "0, p(3); 1, p(2, 3); 3, p(3)"});

const Operator polygamma_method({.signature = "polygamma(input, n)",
                                 .forms = kMethod | kInPlace,
                                 .doc = "Compute the n-th derivative of digamma, n >= 0.",
                                 .forward = [](const Tensor& x, int64_t n) { return polygamma(n, x); }});

const Operator mvlgamma_operator(
    {.signature = "mvlgamma(input, p)",
     .forms = kFunction | kMethod | kInPlace | kOut,
     .doc = "Compute the logarithm of the multivariate gamma function of dimension p. Gradient: input, any order.",
     .forward = mvlgamma,
     .reference = "np.vectorize(lambda x: scipy.special.multigammaln(x, p))(input)",
     .samples = "p(2, 3) + 2, 1; p(2, 3) + 2, 3"});

}  // namespace

}  // namespace flambeau
