// Sorting, selecting, searching, counting.
#include "bind.h"
#include "flambeau/sorting.h"

namespace flambeau::python {

namespace {

constexpr int kUsual = kFunction | kMethod | kOut;

template <bool ignore_nan>
PyObject* median_of(const Tensor& t, std::optional<int64_t> dim, bool keepdim) {
  if (!dim) return wrap_tensor(median_all(t, ignore_nan));
  return named_tuple(ignore_nan ? "nanmedian" : "median", median(t, *dim, keepdim, ignore_nan));
}

// The values alone, or a tuple with what else was asked for.
PyObject* unpacked(const Unique& unique, bool inverse, bool counts) {
  if (!inverse && !counts) return wrap_tensor(unique.values);
  Tensors out{unique.values};
  if (inverse) out.push_back(unique.inverse);
  if (counts) out.push_back(unique.counts);
  return to_python(out);
}

PyObject* unique_of(const Tensor& t, bool, bool inverse, bool counts, std::optional<int64_t> dim) {
  return unpacked(dim ? unique_slices(t, *dim, true, inverse, counts) : unique(t, inverse, counts), inverse, counts);
}

PyObject* consecutive_of(const Tensor& t, bool inverse, bool counts, std::optional<int64_t> dim) {
  return unpacked(dim ? unique_slices(t, *dim, false, inverse, counts) : unique_consecutive(t, inverse, counts),
                  inverse, counts);
}

Tensor search(const Tensor& sequence, const Operand& values, bool int32, bool right,
              std::optional<std::string_view> side, const Tensor& sorter) {
  require(!side || *side == "left" || *side == "right", "searchsorted(): side can only be 'left' or 'right' but got ",
          side.value_or(""));
  require(!side || !right || *side == "right",
          "searchsorted(): side and right can't be set to opposites, got side of left while right was True");
  return searchsorted(sequence, values.tensor ? *values.tensor : wrapped_number(values.scalar),
                      right || side == "right", sorter, int32);
}

Tensor bucketize(const Operand& values, const Tensor& boundaries, bool int32, bool right) {
  require(boundaries.dim() == 1, "boundaries tensor must be 1 dimension, but got shape ", boundaries.shape());
  return search(boundaries, values, int32, right, {}, {});
}

// Either may be a number.
Tensor is_in(PyObject* elements, PyObject* tests, bool, bool invert) {
  static const Parameter of_elements{PyUnicode_InternFromString("elements")},
      of_tests{PyUnicode_InternFromString("test_elements")};
  const Call first{"isin", &of_elements, 0}, second{"isin", &of_tests, 1};
  if (is_tensor(tests)) {
    if (is_tensor(elements)) return isin(tensor_of(elements), tensor_of(tests), invert);
    const Scalar number = From<Scalar>::get(first, elements);
    return isin(scalar_tensor(number, default_dtype(number.kind())), tensor_of(tests), invert);
  }
  if (!is_tensor(elements)) wrong_argument(second, "Tensor where 'elements' is a number", tests);
  const Scalar number = From<Scalar>::get(second, tests);
  return invert ? ne(tensor_of(elements), number) : eq(tensor_of(elements), number);
}

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

void bind_sorting() {
  def("sort(input, dim=-1, descending=False, stable=False)", kUsual,
      "The elements in order along a dimension, as (values, indices); NaN counts as largest. Always stable: equal "
      "elements keep their order.\n\nGradient: input.",
      [](const Tensor& t, int64_t dim, bool descending, bool) {
        return named_tuple("sort", sort(t, dim, descending));
      });
  def("topk(input, k, dim=-1, largest=True, sorted=True)", kUsual,
      "The k largest (or smallest) elements along a dimension, as (values, indices); NaN counts as largest, and of "
      "equal elements the first come first.\n\nRaises RuntimeError where k is out of range. Gradient: input.",
      [](const Tensor& t, int64_t k, int64_t dim, bool largest, bool sorted) {
        return named_tuple("topk", topk(t, k, dim, largest, sorted));
      });
  def("kthvalue(input, k, dim=-1, keepdim=False)", kUsual,
      "The k-th smallest element (from 1) along a dimension, as (values, indices).\n\n"
      "Raises RuntimeError where k is out of range. Gradient: input.",
      [](const Tensor& t, int64_t k, int64_t dim, bool keepdim) {
        return named_tuple("kthvalue", kthvalue(t, k, dim, keepdim));
      });
  def("median(input, dim=None, keepdim=False)", kUsual,
      "The median, of an even number of elements the lower one; NaN if there is one. Along a dimension, (values, "
      "indices).\n\nGradient: input; shared among equal elements where there is no dimension.",
      median_of<false>);
  def("nanmedian(input, dim=None, keepdim=False)", kUsual, "As median(), over the elements that are not NaN.",
      median_of<true>);
  def("mode(input, dim=-1, keepdim=False)", kUsual,
      "The most frequent element along a dimension (the smallest of several), as (values, indices). Gradient: input.",
      [](const Tensor& t, int64_t dim, bool keepdim) { return named_tuple("mode", mode(t, dim, keepdim)); });
  def("unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None)", kFunction | kMethod,
      "The different elements in order, or the different slices along a dimension. With return_inverse also where each "
      "element went, with return_counts how often each occurs. NaN differs from NaN. Not differentiable.",
      unique_of);
  def("unique_consecutive(input, return_inverse=False, return_counts=False, dim=None)", kFunction | kMethod,
      "The first of every run of equal elements (or slices); see unique(). Not differentiable.", consecutive_of);
  def("searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None)", kFunction | kOut,
      "How many elements of the sorted sequence are smaller than each value (with right=True: not larger), int64. The "
      "sequence is a vector, or has one row for each row of the values.\n\nRaises RuntimeError for shapes that do not "
      "match. Not differentiable.",
      search);
  def("bucketize(input, boundaries, *, out_int32=False, right=False)", kFunction | kOut,
      "The bucket each value is in: searchsorted(boundaries, input).", bucketize);
  bind_histograms();
  def("isin(elements, test_elements, *, assume_unique=False, invert=False)", kFunction | kOut,
      R"(Whether each element is among the test elements (with ``invert``: is not); either may be a number.

``assume_unique`` is taken and makes no difference. Raises RuntimeError for booleans. Not differentiable.

>>> flambeau.isin(flambeau.tensor([1, 2, 3]), flambeau.tensor([2, 3]))
tensor([False,  True,  True]))",
      is_in);
}

}  // namespace flambeau::python
