// Norms, inner products and powers of vectors, for flambeau.linalg.
#include <cmath>

#include "flambeau/operator.h"

namespace flambeau {

namespace {

Tensor norm_of_vectors(const Tensor& x, Scalar ord, const OptionalDims& dim, bool keepdim, std::optional<Dtype> dtype) {
  require(is_inexact(x.dtype()), "linalg.vector_norm: Expected a floating point or complex tensor as input. Got ",
          x.dtype());
  const double p = ord.real();
  bool nothing = x.numel() == 0 && (!dim || dim->size() == 0);
  for (int64_t d : dim.value_or(Shape{})) nothing |= x.dim() > 0 && x.size(d) == 0;
  require(!nothing || (p >= 0 && !std::isinf(p)), "linalg.vector_norm cannot compute the ", p,
          " norm on an empty tensor because the operation does not have an identity");
  return vector_norm(dtype ? to(x, *dtype) : x, p, dim, keepdim);
}

Tensor vecdot(const Tensor& x, const Tensor& y, int64_t dim) {
  require(x.dtype() == y.dtype(), "linalg.vecdot: Expected x and y to have the same dtype, but got ", x.dtype(),
          " and ", y.dtype());
  return sum(mul(conj(x), y), Shape{dim}, false, x.dtype());
}

Tensor vander(const Tensor& given, std::optional<int64_t> count) {
  const int64_t powers = count.value_or(given.dim() ? given.size(-1) : 1);
  require(powers > 1, "linalg.vander: N must be greater than 1, got ", powers);
  require(given.dtype() != Dtype::bool_,
          "linalg.vander supports floating point, complex, and integer tensors, but got bool");
  const Tensor x = is_inexact(given.dtype()) ? given : to(given, Dtype::int64);
  const Tensor column = unsqueeze(x.dim() ? x : reshape(x, {1}), -1);
  Shape shape = column.shape();
  const Tensor ones_ = ones(shape, column.dtype());
  shape.back() = powers - 1;
  return cat({ones_, powers == 2 ? column : cumprod(expand(column, shape), -1, {})}, -1);
}

const Operator linalg_vander_operator(
    {.signature = "vander(x, *, N=None)",
     .forms = kPrivate | 0,
     .doc =
         R"(Compute the Vandermonde matrix: the powers ``x^0 ... x^(N - 1)`` of every element, as a new last dimension.

Args:
    x: ``(*, n)``; a 0-d tensor counts as ``(1,)``.
    N: number of powers (default: n).
Gradient: x.)",
     .forward = vander,
     .module = "flambeau.linalg",
     .reference = "np.vander(x, N, increasing=True)",
     .samples = "f(4); f(3), N=5"});

const Operator linalg_vector_norm_operator(
    {.signature = "vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None)",
     .forms = kPrivate | kOut | kExactOut,
     .doc =
         R"(Compute the norm of vectors, sum(abs(x)**ord)**(1 / ord).

For inf and -inf, the norm is the largest or the smallest absolute value; for 0, the number of elements that are not 0.

Args:
    x: tensor of any shape.
    dim: the dimensions that form a vector (default: all).
    dtype: dtype to which x is converted first.
Returns: a real tensor.
Raises: RuntimeError for integers, and for an empty vector if ord is negative or inf.
Gradient: x; 0 where the norm is 0.

>>> flambeau.linalg.vector_norm(flambeau.tensor([3.0, 4.0]))
tensor(5.))",
     .forward = norm_of_vectors,
     .module = "flambeau.linalg",
     .reference = "np.linalg.norm(x.ravel() if dim is None else x, ord, dim, keepdim)",
     .samples = "f(4); f(3, 4), 1; f(3, 4), 3, 0, True; c(3, 4), np.inf, 1"});

const Operator linalg_vecdot_operator(
    {.signature = "vecdot(x, y, *, dim=-1)",
     .forms = kPrivate | kOut | kExactOut | kLowerPrecision,
     .doc = R"(Compute the inner products sum(conj(x) * y) along a dimension; the other dimensions broadcast.

Raises RuntimeError if the dtypes differ. Gradient: both operands, any order.

>>> flambeau.linalg.vecdot(flambeau.tensor([[1.0, 2.0], [3.0, 4.0]]), flambeau.tensor([1.0, -1.0]))
tensor([-1., -1.]))",
     .forward = vecdot,
     .module = "flambeau.linalg",
     .reference = "np.sum(np.conj(x) * y, dim)",
     .samples = "f(3, 4), f(4); c(3, 4), c(3, 4), dim=0"});

}  // namespace

}  // namespace flambeau
