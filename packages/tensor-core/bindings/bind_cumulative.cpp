// Running sums, products, extremes.
#include "bind.h"

namespace flambeau::python {

void bind_cumulative() {
  constexpr int kUsual = kFunction | kMethod | kOut;
  def("cumsum(input, dim, *, dtype=None)", kUsual | kInPlace,
      "The running sum along a dimension, accumulated in float64; integers in int64. The result does not depend on the "
      "number of threads.\n\nGradient: the running sum from the other end.",
      cumsum);
  def("cumprod(input, dim, *, dtype=None)", kUsual | kInPlace,
      "The running product along a dimension, accumulated in float64; integers in int64.\n\n"
      "Gradient: right where there are zeros, too; second derivatives take memory of the square of the length.",
      cumprod);
  def("logcumsumexp(input, dim)", kUsual,
      "log(cumsum(exp(input))) along a dimension, without overflow.\n\n"
      "Raises NotImplementedError for integers. Gradient: input.",
      logcumsumexp);
  def("cummax(input, dim)", kUsual,
      "The largest element so far along a dimension and its index (of equal ones the last), as (values, indices). NaN "
      "counts as largest.\n\nGradient: to the element at the index.",
      [](const Tensor& t, int64_t dim) { return named_tuple("cummax", cummax(t, dim)); });
  def("cummin(input, dim)", kUsual,
      "The smallest element so far along a dimension and its index (of equal ones the last), as (values, indices). NaN "
      "counts as smallest.\n\nGradient: to the element at the index.",
      [](const Tensor& t, int64_t dim) { return named_tuple("cummin", cummin(t, dim)); });
}

}  // namespace flambeau::python
