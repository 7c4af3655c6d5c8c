// Reductions.
#include "bind.h"

namespace flambeau::python {

namespace {

constexpr int kUsual = kFunction | kMethod | kOut;

// max(input), max(input, dim, keepdim), max(input, other)
template <bool largest>
PyObject* extreme(const Tensor& t, PyObject* dim_or_other, bool keepdim) {
  if (dim_or_other == Py_None) return wrap_tensor(largest ? max_all(t) : min_all(t));
  if (is_tensor(dim_or_other))
    return wrap_tensor(largest ? maximum(t, tensor_of(dim_or_other)) : minimum(t, tensor_of(dim_or_other)));
  static const Parameter parameter{PyUnicode_InternFromString("dim")};
  const int64_t dim = From<int64_t>::get({largest ? "max" : "min", &parameter, 1}, dim_or_other);
  return to_python(largest ? max_dim(t, dim, keepdim) : min_dim(t, dim, keepdim));
}

double correction_of(std::optional<double> correction, bool unbiased) {
  return correction ? *correction : (unbiased ? 1 : 0);
}

// var(input, unbiased: bool), var(input, dim=None, unbiased=True, keepdim=False, correction=None)
template <bool root>
Tensor spread(const Tensor& t, PyObject* dim, bool unbiased, bool keepdim, std::optional<double> correction) {
  OptionalDims dims;
  if (PyBool_Check(dim)) {
    unbiased = dim == Py_True;
  } else if (dim != Py_None) {
    static const Parameter parameter{PyUnicode_InternFromString("dim")};
    dims = From<Shape>::get({root ? "std" : "var", &parameter, 1}, dim);
  }
  const double c = correction_of(correction, unbiased);
  return root ? standard_deviation(t, dims, c, keepdim) : var(t, dims, c, keepdim);
}

PyTypeObject* pair_type = nullptr;

}  // namespace

PyObject* to_python(const TensorPair& pair) {
  if (!pair_type) {
    static PyStructSequence_Field fields[] = {{"values", nullptr}, {"indices", nullptr}, {nullptr, nullptr}};
    static PyStructSequence_Desc description = {"flambeau.return_types.values_and_indices",
                                                "Values and their positions.", fields, 2};
    pair_type = PyStructSequence_NewType(&description);
    checked(reinterpret_cast<PyObject*>(pair_type));
  }
  Object out(checked(PyStructSequence_New(pair_type)));
  PyStructSequence_SetItem(out.get(), 0, checked(wrap_tensor(pair.values)));
  PyStructSequence_SetItem(out.get(), 1, checked(wrap_tensor(pair.indices)));
  return out.release();
}

void bind_reductions() {
  def("sum(input, dim=None, keepdim=False, *, dtype=None)", kUsual,
      "The sum over all or the given dimensions. Integers and booleans are summed in int64. The order of additions is "
      "fixed: the result does not depend on the number of threads.\n\n"
      "Gradient: the result's, spread over the reduced dimensions.",
      sum);
  def("mean(input, dim=None, keepdim=False, *, dtype=None)", kUsual,
      "The mean over all or the given dimensions.\n\nRaises RuntimeError for integers. Gradient: the result's, shared "
      "evenly.",
      mean);
  def("prod(input, dim=None, keepdim=False, *, dtype=None)", kUsual,
      "The product over all or the given dimensions. Gradient: right where there are zeros, too.", prod);
  def("var(input, dim=None, unbiased=True, keepdim=False, *, correction=None)", kUsual,
      "The variance, by two passes, divided by n - correction (1 unless given). Gradient: any order.", spread<false>);
  def("std(input, dim=None, unbiased=True, keepdim=False, *, correction=None)", kUsual,
      "The square root of var(). Gradient: 0 where the deviation is 0.", spread<true>);
  def("max(input, dim=None, keepdim=False)", kUsual,
      "max(input): the largest element; max(input, dim): (values, indices) along a dimension; max(input, other): the "
      "larger of two tensors.\n\n"
      "NaN counts as largest. Gradient: shared among equal elements; along a dimension, to the one at the index.",
      extreme<true>);
  def("min(input, dim=None, keepdim=False)", kUsual, "As max, for the smallest.", extreme<false>);
  def("amax(input, dim=(), keepdim=False)", kUsual,
      "The largest over dimensions; the gradient is shared evenly among equal elements.", amax);
  def("amin(input, dim=(), keepdim=False)", kUsual,
      "The smallest over dimensions; the gradient is shared evenly among equal elements.", amin);
  def("argmax(input, dim=None, keepdim=False)", kUsual,
      "The position of the first largest element, int64. Not differentiable.", argmax);
  def("argmin(input, dim=None, keepdim=False)", kUsual,
      "The position of the first smallest element, int64. Not differentiable.", argmin);
  def("any(input, dim=None, keepdim=False)", kUsual, "Whether any element is not 0.", any);
  def("all(input, dim=None, keepdim=False)", kUsual, "Whether every element is not 0.", all);
  def("logsumexp(input, dim, keepdim=False)", kUsual,
      "log(sum(exp(input))) over dimensions, without overflow. Gradient: softmax.", logsumexp);
  def("softmax(input, dim, dtype=None)", kFunction | kMethod | kOut,
      "exp(input) / sum(exp(input)) along a dimension. Gradient: any order.", softmax);
  def("log_softmax(input, dim, dtype=None)", kFunction | kMethod | kOut,
      "The logarithm of softmax(), without overflow. Gradient: any order.", log_softmax);
  def("cumsum(input, dim, *, dtype=None)", kUsual | kInPlace,
      "The running sum along a dimension. Gradient: the reversed running sum.", cumsum);
  def("count_nonzero(input, dim=None)", kFunction | kMethod, "How many elements are not 0.",
      [](const Tensor& t, const OptionalDims& dim) { return sum(ne(t, 0), dim, false, std::nullopt); });
  def("equal(input, other)", kFunction | kMethod, "Whether shapes and all elements are equal.",
      [](const Tensor& a, const Tensor& b) {
        GradMode off(false);
        return a.shape() == b.shape() && item(all(eq(a, b), {}, false)).truth();
      });
}

}  // namespace flambeau::python
