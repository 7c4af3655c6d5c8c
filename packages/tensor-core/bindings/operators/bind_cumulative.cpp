// Running sums, products, extremes.
#include "calls/bind.h"

namespace flambeau::python {

void bind_cumulative() {
  constexpr int kUsual = kFunction | kMethod | kOut;
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
