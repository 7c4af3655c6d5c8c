// Counts of elements, by value or in bins of equal width.
#include <limits>
#include <mutex>

#include "flambeau/cuda.h"
#include "flambeau/interpreter.h"
#include "flambeau/operator.h"
#include "flambeau/operators/sorting.h"
#include "flambeau/parallel.h"
#include "operators/without_derivative.h"

namespace flambeau {

namespace {

// Calls bin(sums, i) for each element in order. The call adds the element's weight to the sum of its bin.
template <class Sum, class Bin>
Tensor added_up(int64_t bins, int64_t n, Dtype dtype, Bin bin) {
  Tensor out = zeros({bins}, dtype);
  Sum* sums = out.data<Sum>();
  const GilRelease release(n > kGilGrain);
  for (int64_t i = 0; i < n; ++i) bin(sums, i);
  return out;
}

// Calls bin(counts, i) for each element. The call increments the count of the element's bin. If there are many
// elements, each thread has separate counts, which are added at the end.
template <class Bin>
Tensor counted(int64_t bins, int64_t n, Bin bin) {
  const Tensor out = zeros({bins}, Dtype::int64);
  std::mutex mutex;
  parallel_for(n, std::max<int64_t>(32768, 4 * bins), [&](int64_t begin, int64_t end) {
    const bool alone = begin == 0 && end == n;
    const Tensor own = alone ? out : zeros({bins}, Dtype::int64);
    int64_t *counts = own.data<int64_t>(), *to = out.data<int64_t>();
    for (int64_t i = begin; i < end; ++i) bin(counts, i);
    if (alone) return;
    const std::lock_guard lock(mutex);
    for (int64_t i = 0; i < bins; ++i) to[i] += counts[i];
  });
  return out;
}

Tensor bins_of(const Tensor& t, const Tensor& weights, int64_t minlength) {
  NoRecording off;
  require<NotImplementedError>(category(t.dtype()) == Category::Integer, "\"bincount\" not implemented for '",
                               t.dtype(), "'");
  require(minlength >= 0, "minlength should be >= 0, got ", minlength);
  if (t.dim() == 1 && t.numel() == 0) return zeros({minlength}, Dtype::int64);
  const Tensor x = t.dim() == 1 ? contiguous(to(t, Dtype::int64)) : t;
  require(t.dim() == 1 && item(min_all(x)).integer() >= 0,
          "bincount only supports 1-d non-negative integral inputs, got ",
          t.dim() == 1 ? "a negative element" : "a tensor that is not 1-d");
  require(!weights.defined() || (weights.dim() == 1 && weights.numel() == t.numel()),
          "weights should be 1-d and have the same length as input, got ",
          weights.defined() ? weights.shape() : Shape(), " for an input of shape ", t.shape());
  const int64_t n = t.numel(), largest = item(max_all(x)).integer();
  require(largest < std::numeric_limits<int64_t>::max(), "maximum value of input overflowed, it should be < ",
          std::numeric_limits<int64_t>::max(), " but got ", largest);
  const int64_t bins = std::max(minlength, largest + 1);
  if (cuda::runs_on_gpu(x)) {
    const Dtype sums = !weights.defined()                  ? Dtype::int64
                       : weights.dtype() == Dtype::float32 ? Dtype::float32
                                                           : Dtype::float64;
    return index_add(zeros({bins}, sums), 0, x, weights.defined() ? to(weights, sums) : ones({n}, sums));
  }
  const int64_t* bin_index = x.data<int64_t>();
  if (!weights.defined()) return counted(bins, n, [=](int64_t* counts, int64_t i) { ++counts[bin_index[i]]; });
  if (weights.dtype() == Dtype::float32) {
    const Tensor w = contiguous(weights);
    return added_up<float>(bins, n, Dtype::float32,
                           [bin_index, w = w.data<float>()](float* sums, int64_t i) { sums[bin_index[i]] += w[i]; });
  }
  const Tensor w = contiguous(to(weights, Dtype::float64));
  return added_up<double>(bins, n, Dtype::float64,
                          [bin_index, w = w.data<double>()](double* sums, int64_t i) { sums[bin_index[i]] += w[i]; });
}

}  // namespace

Tensor bincount(const Tensor& t, const Tensor& weights, int64_t minlength) {
  Tensor bins = bins_of(t, weights, minlength);
  if (is_floating(bins.dtype())) record_without_derivative("bincount", {&bins}, weights);
  return bins;
}

const Operator bincount_operator({.signature = "bincount(input, weights=None, minlength=0)",
                                  .forms = kFunction | kMethod,
                                  .doc =
                                      R"(Count the occurrences of 0, 1, 2, ... in a vector of integers, as int64.

With weights, sum the weights, in float32 or float64.

Raises RuntimeError for negative elements. Not differentiable: a backward pass to the weights raises
NotImplementedError.)",
                                  .forward = bincount,
                                  .reference = "np.bincount(input, weights, minlength)",
                                  .samples = "k(5, 20); k(5, 20), f(20), 8"});

namespace {

// Counts the elements in [low, high] on a GPU. The computation has the dtype of x, float32 or float64.
Tensor histogram_on_gpu(const Tensor& x, int64_t bins, double low, double high) {
  const bool single = x.dtype() == Dtype::float32;
  const double first = single ? float(low) : low, last = single ? float(high) : high,
               width = single ? float(last) - float(first) : last - first;
  const Tensor inside = logical_and(ge(x, Scalar(first)), le(x, Scalar(last)));
  const Tensor steps = div(mul(sub(x, Scalar(first)), Scalar(double(bins))), Scalar(width));
  const Tensor bin = where(inside, clamp_max(to(steps, Dtype::int64), Scalar(bins - 1)), Scalar(bins));
  const Tensor counts =
      index_add(zeros({bins + 1}, Dtype::int64), 0, reshape(bin, {x.numel()}), ones({x.numel()}, Dtype::int64));
  return narrow(counts, 0, 0, bins);
}

template <class T>
Tensor histogram(const Tensor& x, int64_t bins, T first, T last) {
  return counted(bins, x.numel(), [=, values = x.data<T>()](int64_t* counts, int64_t i) {
    const T v = values[i];
    if (!(v >= first && v <= last)) return;
    const T bin = (v - first) * T(bins) / (last - first);  // NaN if the width of the range is too large for T
    ++counts[bin < T(bins) ? std::min(bins - 1, int64_t(bin)) : bins - 1];
  });
}

}  // namespace

Tensor histc(const Tensor& t, int64_t bins, double low, double high) {
  NoRecording off;
  require<NotImplementedError>(is_floating(t.dtype()), "\"histogram\" not implemented for '", t.dtype(), "'");
  require(bins > 0, "histc(): bins must be > 0, but got ", bins);
  if (low == high && t.numel() > 0) {
    low = item(min_all(t)).real();
    high = item(max_all(t)).real();
  }
  require(std::isfinite(low) && std::isfinite(high), "histc: range of [", low, ", ", high, "] is not finite");
  require(low <= high, "histc: max must be larger than min, got ", high, " and ", low);
  if (low == high) {
    low -= 1;
    high += 1;
  }
  const Dtype in = dtype_of(compute_type(t.dtype()));
  const Tensor x = contiguous(to(t, in));
  const Tensor counts = cuda::runs_on_gpu(x)   ? histogram_on_gpu(x, bins, low, high)
                        : in == Dtype::float64 ? histogram(x, bins, low, high)
                                               : histogram(x, bins, float(low), float(high));
  return to(counts, t.dtype());
}

const Operator histc_operator(
    {.signature = "histc(input, bins=100, min=0, max=0)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc =
         R"(Count the elements in each of `bins` equal parts of [min, max], in the dtype of the input.

If min equals max, the range of the elements is used. The result does not require grad.)",
     .forward = histc,
     .reference = "np.histogram(input, bins, (min, max))[0]",
     .samples = "f(30), 5, -1, 1"});

}  // namespace flambeau
