// Multidimensional histograms. Their binding is written by hand because the result contains a tuple of tensors.
#include "calls/bind.h"
#include "flambeau/operators/sorting.h"

namespace flambeau::python {

namespace {

PyObject* histogram_of_points(const Tensor& input, PyObject* bins, const std::optional<std::vector<double>>& range,
                              const Tensor& weight, bool density) {
  static const Parameter parameter{PyUnicode_InternFromString("bins")};
  const Call call{"histogramdd", &parameter, 1};
  require(input.dim() >= 2, "histogramdd(): input tensor should have at least 2 dimensions, but got ", input.dim());
  const int64_t n = input.size(-1);
  const std::vector<Bins> each = PyList_Check(bins) || PyTuple_Check(bins)
                                     ? From<std::vector<Bins>>::get(call, bins)
                                     : std::vector<Bins>(size_t(n), From<Bins>::get(call, bins));
  require(int64_t(each.size()) == n, "histogramdd(): expected ", n, " sequences of bins for a ", n,
          "-dimensional histogram but got ", each.size());
  require(!range || int64_t(range->size()) == 2 * n, "histogramdd(): range should have ", 2 * n, " elements, got ",
          range ? range->size() : 0);
  const Tensor points = reshape(input, {n ? input.numel() / n : product(input.shape()), n});
  const Histogram h = histogramdd("histogramdd", points, each, range.value_or(std::vector<double>()), weight, density);
  const Object edges(checked(to_python(h.edges)));
  return named_tuple("histogramdd", {to_python(h.counts), Py_NewRef(edges.get())});
}

}  // namespace

void bind_sorting() {
  def("histogramdd(input, bins, range=None, weight=None, density=False)", kFunction,
      R"(Count the points in each cell of a grid. Return (hist, bin_edges).

Args:
    input: (..., n), the coordinates of points in n dimensions, float32 or float64.
    bins: the number of bins of each dimension (or one number for all), or the edges of the bins.
    range: first and last edge of each dimension in turn. Default: the range of the points.
    weight, density: as in ``histogram``.
Returns: the counts, one dimension for each coordinate, and a tuple of edges. Not differentiable.)",
      histogram_of_points);
}

}  // namespace flambeau::python
