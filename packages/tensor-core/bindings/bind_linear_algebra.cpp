// What flambeau.linalg has that is native, and the factorizations that its operators, written in Python, are made of.
#include <cmath>

#include "bind.h"
#include "flambeau/factorization.h"
#include "flambeau/products.h"

namespace flambeau::python {

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

int64_t dimension_of_three(const Tensor& t) {
  for (int64_t d = 0; d < t.dim(); ++d)
    if (t.size(d) == 3) return d;
  detail::raise<Error>("no dimension of size 3 in input of shape ", t.shape());
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

}  // namespace

void bind_linear_algebra() {
  def_linalg("vander(x, *, N=None)",
             R"(The powers ``x^0 ... x^(N - 1)`` of every element, along a last dimension: Vandermonde's matrix.

Args:
    x: ``(*, n)``; a 0-d tensor counts as ``(1,)``.
    N: how many; n if it is None.
Gradient: x.)",
             vander, 0);
  def_linalg(
      "vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None)",
      "The norm of vectors: sum(abs(x)**ord)**(1 / ord); the largest and the smallest absolute value for inf and -inf, "
      "the number of elements that are not 0 for 0.\n\nArgs:\n    x: of any shape.\n    dim: the dimensions that make "
      "a vector; all by default.\n    dtype: what x is converted to first.\nReturns: real.\nRaises: RuntimeError for "
      "integers, and for an empty vector where ord is negative or inf.\nGradient: x; 0 where the norm is 0.\n\n"
      ">>> flambeau.linalg.vector_norm(flambeau.tensor([3.0, 4.0]))\ntensor(5.)",
      norm_of_vectors);
  def_linalg(
      "vecdot(x, y, *, dim=-1)",
      "The inner products sum(conj(x) * y) along a dimension; the others broadcast.\n\nRaises RuntimeError where the "
      "dtypes differ. Gradient: both, any order.\n\n"
      ">>> flambeau.linalg.vecdot(flambeau.tensor([[1.0, 2.0], [3.0, 4.0]]), flambeau.tensor([1.0, -1.0]))\n"
      "tensor([-1., -1.])",
      vecdot, kOut | kLowerPrecision);
  def("cross(input, other, dim=None)", kFunction | kMethod | kOut,
      "The cross product of vectors of three elements along ``dim``, by default the first dimension of that size.\n\n"
      "The other dimensions are broadcast. Raises RuntimeError where ``dim`` does not have three elements. Gradient: "
      "both.\n\n>>> flambeau.cross(flambeau.tensor([1, 0, 0]), flambeau.tensor([0, 1, 0]))\ntensor([0, 0, 1])",
      [](const Tensor& a, const Tensor& b, std::optional<int64_t> dim) {
        return cross(a, b, dim ? *dim : dimension_of_three(a));
      });
}

}  // namespace flambeau::python
