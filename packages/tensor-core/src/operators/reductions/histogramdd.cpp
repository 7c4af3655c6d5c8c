// Counts of points in the cells of a grid.
#include <algorithm>
#include <cmath>

#include "core/working_memory.h"
#include "flambeau/cuda.h"
#include "flambeau/operator.h"
#include "flambeau/operators/sorting.h"
#include "operators/without_derivative.h"

namespace flambeau {

namespace {

Tensor equal_bins(const char* name, const Tensor& points, int64_t dimension, int64_t count,
                  const std::vector<double>& limits) {
  require(count > 0, name, "(): bins must be > 0, but got ", count, " for dimension ", dimension);
  double low = 0, high = 1;
  if (!limits.empty()) {
    low = limits[size_t(2 * dimension)], high = limits[size_t(2 * dimension + 1)];
    require(low <= high, name, "(): min should not exceed max, but got min ", low, " max ", high);
  } else if (points.shape()[0] > 0) {
    const Tensor values = select(points, 1, dimension);
    low = item(min_all(values)).real(), high = item(max_all(values)).real();
  }
  require(std::isfinite(low) && std::isfinite(high), name, "(): dimension ", dimension, "'s range [", low, ", ", high,
          "] is not finite");
  if (low == high) low -= 0.5, high += 0.5;
  return linspace(Scalar(low), Scalar(high), count + 1, points.dtype());
}

Tensor edges_of(const char* name, const Tensor& points, int64_t dimension, const Bins& bins,
                const std::vector<double>& limits) {
  if (const int64_t* count = std::get_if<int64_t>(&bins)) return equal_bins(name, points, dimension, *count, limits);
  const Tensor& edges = std::get<Tensor>(bins);
  require(edges.dtype() == points.dtype(), name,
          "(): input tensor and bins tensors should have the same dtype, but got input with dtype ", points.dtype(),
          " and bins for dimension ", dimension, " with dtype ", edges.dtype());
  require(edges.dim() == 1 && edges.numel() > 0, name, "(): bins for dimension ", dimension,
          " should be a vector of edges, got ", edges.shape());
  return edges;
}

void check_weight(const char* name, const Tensor& points, const Tensor& weight) {
  require(weight.numel() == points.shape()[0], name,
          "(): if weight tensor is provided it should have the same shape as the input tensor excluding its innermost "
          "dimension, but got weight of shape ",
          weight.shape());
  require(weight.dtype() == points.dtype(), name,
          "(): if weight tensor is provided, input tensor and weight tensor should have the same dtype, got ",
          points.dtype(), " and ", weight.dtype());
}

// The bins of one dimension. The last bin includes its right edge.
template <class T>
class BinFinder {
 public:
  explicit BinFinder(const Tensor& edges)
      : edges_(edges.data<T>()), count_(edges.numel() - 1), bins_per_unit_(T(count_) / (edges_[count_] - edges_[0])) {}

  // Returns the index of the bin that contains the value, or -1 if the value is outside the range.
  int64_t operator()(T value) const {
    if (!(value >= edges_[0] && value <= edges_[count_])) return -1;
    const T estimate = (value - edges_[0]) * bins_per_unit_;  // exact up to rounding if the edges are equidistant
    if (estimate >= 0 && estimate <= T(count_)) {
      int64_t bin = std::min(int64_t(estimate), count_ - 1);
      bin -= bin > 0 && value < edges_[bin];
      bin += bin < count_ - 1 && value >= edges_[bin + 1];
      if (value >= edges_[bin] && (bin == count_ - 1 || value < edges_[bin + 1])) return bin;
    }
    return std::min<int64_t>(std::upper_bound(edges_, edges_ + count_ + 1, value) - edges_, count_) - 1;
  }

 private:
  const T* edges_;
  int64_t count_;
  T bins_per_unit_;
};

template <class T>
void count_points(const Tensor& points, const Tensors& edges, const T* weight, const Shape& shape, T* counts) {
  const int64_t n = points.shape()[0], dims = points.shape()[1];
  std::vector<double> sums(size_t(product(shape)));
  std::vector<BinFinder<T>> bin_of;
  for (const Tensor& each : edges) bin_of.emplace_back(each);
  for (int64_t i = 0; i < n; ++i) {
    int64_t flat_bin = 0;
    for (int64_t d = 0; d < dims && flat_bin >= 0; ++d) {
      const int64_t bin = bin_of[size_t(d)](points.data<T>()[i * dims + d]);
      flat_bin = bin < 0 ? -1 : flat_bin * shape[size_t(d)] + bin;
    }
    if (flat_bin >= 0) sums[size_t(flat_bin)] += weight ? double(weight[i]) : 1;
  }
  std::transform(sums.begin(), sums.end(), counts, [](double s) { return T(s); });
}

Tensor counted_on_gpu(const Tensor& points, const Tensors& edges, const Tensor& weights, const Shape& shape) {
  const int64_t n = points.size(0), total = product(shape);
  Tensor flat_bin = zeros({n}, Dtype::int64), inside = ones({n}, Dtype::bool_);
  for (size_t d = 0; d < edges.size(); ++d) {
    const Tensor value = contiguous(select(points, 1, int64_t(d)));
    const Tensor low = select(edges[d], 0, 0), high = select(edges[d], 0, shape[d]);
    inside = logical_and(inside, logical_and(ge(value, low), le(value, high)));
    const Tensor bin = searchsorted(edges[d], value, true, Tensor(), false) - Scalar(1);
    flat_bin = flat_bin * Scalar(shape[d]) + clamp_min(clamp_max(bin, Scalar(shape[d] - 1)), Scalar(0));
  }
  const Tensor each = weights.defined() ? reshape(to(weights, Dtype::float64), {n}) : ones({n}, Dtype::float64);
  const Tensor sums = index_add(zeros({total + 1}, Dtype::float64), 0, where(inside, flat_bin, Scalar(total)), each);
  return to(reshape(narrow(sums, 0, 0, total), shape), points.dtype());
}

// Divides the counts by their sum and by the widths of the bins.
Tensor as_density(const Tensor& counts, const Tensors& edges) {
  Tensor out = counts / sum(counts, {}, false, {});
  for (size_t d = 0; d < edges.size(); ++d) {
    Shape shape(edges.size(), 1);
    shape[d] = edges[d].numel() - 1;
    out = out / reshape(narrow(edges[d], 0, 1, shape[d]) - narrow(edges[d], 0, 0, shape[d]), shape);
  }
  return out;
}

Histogram histogram_of(const char* name, const Tensor& given, const std::vector<Bins>& bins,
                       const std::vector<double>& limits, const Tensor& weight, bool density) {
  NoRecording off;
  require<NotImplementedError>(given.dtype() == Dtype::float32 || given.dtype() == Dtype::float64, "\"", name,
                               "\" not implemented for '", given.dtype(), "'");
  const Tensor points = contiguous(given);
  Histogram out;
  Tensors edges;
  Shape shape;
  for (size_t d = 0; d < bins.size(); ++d) {
    out.edges.push_back(edges_of(name, points, int64_t(d), bins[d], limits));
    edges.push_back(contiguous(out.edges[d]));
    shape.push_back(edges[d].numel() - 1);
  }
  if (weight.defined()) check_weight(name, points, weight);
  const Tensor weights = weight.defined() ? contiguous(weight) : weight;
  if (cuda::runs_on_gpu(points) && product(shape) > 0) {
    out.counts = counted_on_gpu(points, edges, weights, shape);
    if (density) out.counts = as_density(out.counts, edges);
    return out;
  }
  out.counts = empty(shape, points.dtype());
  dispatch_real(points.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (out.counts.numel() > 0)
      count_points<T>(points, edges, weights.defined() ? weights.data<T>() : nullptr, shape, out.counts.data<T>());
  });
  if (density) out.counts = as_density(out.counts, edges);
  return out;
}

}  // namespace

Histogram histogramdd(const char* name, const Tensor& points, const std::vector<Bins>& bins,
                      const std::vector<double>& limits, const Tensor& weight, bool density) {
  Histogram out = histogram_of(name, points, bins, limits, weight, density);
  record_without_derivative(name, {&out.counts}, points, weight);
  return out;
}

namespace {

TensorPair histogram(const Tensor& input, const Bins& bins, const std::optional<std::vector<double>>& range,
                     const Tensor& weight, bool density) {
  require(!range || range->size() == 2, "histogram(): range should have 2 elements, got ", range ? range->size() : 0);
  const Histogram h = histogramdd("histogram", reshape(input, {input.numel(), 1}), {bins},
                                  range.value_or(std::vector<double>()), weight, density);
  TensorPair out{h.counts, h.edges[0]};
  record_without_derivative("histogram", {&out.indices}, input);  // the edges depend on the range of the input
  return out;
}

const Operator histogram_operator(
    {.signature = "histogram(input, bins, *, range=None, weight=None, density=False)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc = R"(Count the elements in each bin. Return (hist, bin_edges). The last bin includes its right edge.

Args:
    input: float32 or float64.
    bins: number of bins of equal width, or the edges of the bins in ascending order.
    range: left edge of the first bin and right edge of the last one (default: the range of the elements).
    weight: weight of each element, with the shape and dtype of the input.
    density: divide by the total and by the widths of the bins, so that the integral is 1.
Raises: RuntimeError if the arguments do not match. Not differentiable.

>>> flambeau.histogram(flambeau.tensor([1.0, 2.0, 1.0]), 4, range=(0.0, 3.0)).hist
tensor([0., 2., 1., 0.]))",
     .forward = histogram,
     .fields = "hist, bin_edges",
     .reference = "np.histogram(input, bins, range, density=density, weights=weight)",
     .samples = "f(30), 5; f(30), 3, density=True; f(30), 4, range=(-1.0, 1.0), weight=p(30)"});

}  // namespace

}  // namespace flambeau
