// Reductions.
#include <cstring>

#include "calls/bind.h"
#include "calls/warning.h"

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
  return largest ? named_tuple("max", max_dim(t, dim, keepdim)) : named_tuple("min", min_dim(t, dim, keepdim));
}

struct Spread {
  OptionalDims dims;
  double correction;
};

// (input, unbiased), (input, dim, unbiased, keepdim), (input, dim, *, correction, keepdim)
Spread spread_arguments(const char* function, PyObject* dim, std::optional<bool> unbiased,
                        std::optional<double> correction) {
  require<TypeError>(!unbiased || !correction, function, "() takes unbiased or correction, got both");
  OptionalDims dims;
  if (PyBool_Check(dim)) {
    unbiased = dim == Py_True;
  } else if (dim != Py_None) {
    static const Parameter parameter{PyUnicode_InternFromString("dim")};
    dims = From<Shape>::get({function, &parameter, 1}, dim);
  }
  return {dims, correction.value_or(unbiased.value_or(true) ? 1 : 0)};
}

void warn_of_freedom(const char* function, const Tensor& t, const Tensor& result, double correction) {
  if (result.numel() && double(t.numel() / result.numel()) <= correction)
    warn(std::string(function) +
         "(): degrees of freedom is <= 0. Correction should be strictly less than the reduction factor (input numel "
         "divided by output numel).");
}

template <bool root>
Tensor spread(const Tensor& t, PyObject* dim, std::optional<bool> unbiased, bool keepdim,
              std::optional<double> correction) {
  const Spread s = spread_arguments(root ? "std" : "var", dim, unbiased, correction);
  const Tensor out =
      root ? standard_deviation(t, s.dims, s.correction, keepdim) : var(t, s.dims, s.correction, keepdim);
  warn_of_freedom(root ? "std" : "var", t, out, s.correction);
  return out;
}

template <bool root>
Tensors spread_and_mean(const Tensor& t, PyObject* dim, std::optional<bool> unbiased, bool keepdim,
                        std::optional<double> correction) {
  const Spread s = spread_arguments(root ? "std_mean" : "var_mean", dim, unbiased, correction);
  const TensorPair pair = spread_mean(t, s.dims, s.correction, keepdim, root);
  warn_of_freedom(root ? "std_mean" : "var_mean", t, pair.values, s.correction);
  return {pair.values, pair.indices};
}

}  // namespace

void bind_reductions() {
  def("var(input, dim=None, unbiased=None, keepdim=False, *, correction=None)", kUsual,
      "The variance, by two passes, divided by n - correction (1 unless given). var(input, unbiased) and "
      "unbiased=False "
      "say a correction of 0.\n\nRaises RuntimeError for integers. Gradient: any order.",
      spread<false>);
  def("std(input, dim=None, unbiased=None, keepdim=False, *, correction=None)", kUsual,
      "The square root of var(). Gradient: 0 where the deviation is 0.", spread<true>);
  def("var_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None)", kFunction,
      "var() and mean() in one pass over the elements. Gradient: any order.", spread_and_mean<false>);
  def("std_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None)", kFunction,
      "std() and mean() in one pass over the elements. Gradient: any order.", spread_and_mean<true>);
  def("max(input, dim|other=None, keepdim=False)", kUsual,
      "max(input): the largest element; max(input, dim): (values, indices) along a dimension; max(input, other): the "
      "larger of two tensors.\n\n"
      "NaN counts as largest. Gradient: shared among equal elements; along a dimension, to the one at the index.",
      extreme<true>);
  def("min(input, dim|other=None, keepdim=False)", kUsual, "As max, for the smallest.", extreme<false>);
}

}  // namespace flambeau::python
