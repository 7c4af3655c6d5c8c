// Histograms.
#include "calls/bind.h"
#include "flambeau/sorting.h"

namespace flambeau::python {

namespace {

constexpr int kUsual = kFunction | kMethod | kOut;

Bins bins_of(const char* function, PyObject* o) {  // their number, or the edges
  static const Parameter parameter{PyUnicode_InternFromString("bins")};
  if (is_tensor(o)) return {0, tensor_of(o)};
  return {From<int64_t>::get({function, &parameter, 1}, o), Tensor()};
}

std::vector<double> limits_of(const char* function, PyObject* range, size_t count) {
  static const Parameter parameter{PyUnicode_InternFromString("range")};
  std::vector<double> out;
  if (range == Py_None) return out;
  const Object listed(checked(PySequence_Fast(range, "range must be a sequence of numbers"))),
      items(checked(PySequence_Tuple(listed.get())));  // which no __float__ can change
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items.get()); ++i)
    out.push_back(From<double>::get({function, &parameter, 2}, PyTuple_GET_ITEM(items.get(), i)));
  require(out.size() == count, function, "(): range should have ", count, " elements, got ", out.size());
  return out;
}

PyObject* histogram_of(const Tensor& input, PyObject* bins, PyObject* range, const Tensor& weight, bool density) {
  const Histogram h = histogramdd("histogram", reshape(input, {input.numel(), 1}), {bins_of("histogram", bins)},
                                  limits_of("histogram", range, 2), weight, density);
  return named_tuple("histogram", {h.counts, h.edges[0]});
}

PyObject* histogram_of_points(const Tensor& input, PyObject* bins, PyObject* range, const Tensor& weight,
                              bool density) {
  require(input.dim() >= 2, "histogramdd(): input tensor should have at least 2 dimensions, but got ", input.dim());
  const int64_t n = input.size(-1);
  std::vector<Bins> each;
  if (PyList_Check(bins) || PyTuple_Check(bins)) {
    const Object items(checked(PySequence_Tuple(bins)));  // which no __index__ can change
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items.get()); ++i)
      each.push_back(bins_of("histogramdd", PyTuple_GET_ITEM(items.get(), i)));
  } else {
    each.assign(size_t(n), bins_of("histogramdd", bins));
  }
  require(int64_t(each.size()) == n, "histogramdd(): expected ", n, " sequences of bins for a ", n,
          "-dimensional histogram but got ", each.size());
  const Tensor points = reshape(input, {n ? input.numel() / n : product(input.shape()), n});
  const Histogram h =
      histogramdd("histogramdd", points, each, limits_of("histogramdd", range, size_t(2 * n)), weight, density);
  const Object edges(checked(to_python(h.edges)));
  return named_tuple("histogramdd", {to_python(h.counts), Py_NewRef(edges.get())});
}

void bind_histograms() {
  def("histogram(input, bins, *, range=None, weight=None, density=False)", kUsual,
      R"(How many elements are in each bin, as (hist, bin_edges); the last bin includes its right edge.

Args:
    input: float32 or float64.
    bins: how many bins of equal width, or their edges, ascending.
    range: where the first bin begins and the last ends, else the range of the elements.
    weight: how much each element counts, of the input's shape and dtype.
    density: divide by the total and the widths, so that the integral is 1.
Raises: RuntimeError for what does not fit together. Not differentiable.

>>> flambeau.histogram(flambeau.tensor([1.0, 2.0, 1.0]), 4, range=(0.0, 3.0)).hist
tensor([0., 2., 1., 0.]))",
      histogram_of);
  def("histogramdd(input, bins, range=None, weight=None, density=False)", kFunction,
      R"(How many points are in each cell of a grid, as (hist, bin_edges).

Args:
    input: (..., n), the coordinates of points in n dimensions, float32 or float64.
    bins: for each dimension (or all) how many bins, or their edges.
    range: first and last edge of each dimension in turn, else the range of the points.
    weight, density: as in ``histogram``.
Returns: the counts, one dimension for each coordinate, and a tuple of edges. Not differentiable.)",
      histogram_of_points);
}

}  // namespace

void bind_sorting() { bind_histograms(); }

}  // namespace flambeau::python
