// Average pooling over equal or adaptive windows, computed by a map of Note [Resampling].
#include <algorithm>

#include "flambeau/cuda.h"
#include "flambeau/memory_format.h"
#include "flambeau/operator.h"
#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "operators/images/pooling.h"
#include "operators/images/resampling.h"

namespace flambeau {

namespace {

constexpr const char* kNames[] = {"avg_pool1d", "avg_pool2d", "avg_pool3d"};
constexpr const char* kNodes[] = {"AvgPool1D", "AvgPool2D", "AvgPool3D"};
constexpr const char* kAdaptiveNames[] = {"adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"};
constexpr const char* kAdaptiveNodes[] = {"AdaptiveAvgPool1D", "AdaptiveAvgPool2D", "AdaptiveAvgPool3D"};

struct WindowExtent {  // the range of the image that a window covers, and the divisor of its sum
  int64_t first, last, count;
};
WindowExtent window_extent(const PoolAxis& a, int64_t o, bool count_include_pad) {
  const int64_t begin = o * a.stride - a.padding, end = std::min(begin + a.kernel, a.size + a.padding);
  const int64_t first = std::max<int64_t>(begin, 0), last = std::max(first, std::min(end, a.size));
  return {first, last, count_include_pad ? end - begin : last - first};
}

// Divides the sums over windows of integers by `divisor` or, if no divisor is given, by the sizes of the windows. The
// quotients are truncated towards zero.
Tensor divided(const Tensor& sums, const std::vector<PoolAxis>& axes, bool include, std::optional<int64_t> divisor) {
  if (divisor) return _trunc_divide(sums, Scalar(*divisor));
  if (sums.is_meta()) return sums;
  Tensor out = sums;
  for (size_t i = 0; i < axes.size(); ++i) {
    Shape shape(axes.size(), 1);
    shape[i] = axes[i].out;
    Tensor counts;
    {
      const OnDevice cpu{DeviceType::Cpu};
      counts = empty(shape, Dtype::int64);
      for (int64_t o = 0; o < axes[i].out; ++o) counts.data<int64_t>()[o] = window_extent(axes[i], o, include).count;
    }
    out = _trunc_divide(out, to(counts, out.device()));
  }
  return out;
}

std::shared_ptr<Resampling> average_map(const std::vector<PoolAxis>& axes, bool include, std::optional<int64_t> divisor,
                                        bool whole) {
  auto map = std::make_shared<Resampling>();
  for (const PoolAxis& a : axes) {
    const bool last = &a == &axes.back();
    if (a.kernel == 1 && a.stride == 1 && !(last && divisor)) {
      map->axes.push_back(nullptr);
      continue;
    }
    auto m = std::make_unique<SparseMatrix>(a.size, a.out, true);
    for (int64_t o = 0; o < a.out; ++o) {
      const WindowExtent s = window_extent(a, o, include);
      const double share = divisor ? (last ? 1.0 / double(*divisor) : 1.0) : 1.0 / double(s.count);
      m->add_row(s.first, s.last, whole ? 1.0 : share);
    }
    map->axes.push_back(std::move(m));
  }
  return map;
}

// Returns the mean over the last `dims` dimensions, which are kept with size 1.
Tensor mean_of_planes(const char* node, int dims, const Tensor& input) {
  Shape shape = input.shape();
  int64_t pixels = 1;
  for (size_t i = shape.size() - size_t(dims); i < shape.size(); ++i) {
    pixels *= shape[i];
    shape[i] = 1;
  }
  Tensor out;
  {
    NoRecording off;
    const Dtype type = input.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32;
    const Tensor x = contiguous(to(input, type));
    if (cuda::runs_on_gpu(x)) {
      Shape flat(shape.begin(), shape.end() - dims);
      flat.push_back(pixels);
      out = reshape(sum(reshape(x, flat), Shape{-1}, false, std::nullopt), shape) * Scalar(1.0 / double(pixels));
    } else {
      out = empty(shape, type);
      const int64_t size = item_size(type), count = out.is_meta() ? 0 : out.numel();
      parallel_items(count, std::max<int64_t>(1, 20000 / (pixels + 1)), [&](int64_t begin, int64_t end) {
        kernels::networks().row_sums[type == Dtype::float64](x.bytes() + begin * pixels * size, end - begin, pixels,
                                                             out.bytes() + begin * size, 1.0 / double(pixels));
      });
    }
    out = laid_out(to(out, input.dtype()), result_format(input));
  }
  if (recording(input))
    record(node, out, {&input}, {}, [pixels, whole = input.shape()](const Context& c) {
      c.set(0, expand(c.gradient() * Scalar(1.0 / double(pixels)), whole));
    });
  return out;
}

// Returns matrices without taps if the input is a meta tensor.
std::shared_ptr<Resampling> adaptive_map(bool is_meta, const Shape& from, const Shape& to) {
  auto map = std::make_shared<Resampling>();
  for (size_t i = 0; i < from.size(); ++i) {
    const int64_t size = from[i], out = to[i];
    if (size == out) {
      map->axes.push_back(nullptr);
      continue;
    }
    if (is_meta) {
      map->axes.push_back(std::make_unique<SparseMatrix>(SparseMatrix::of_size(size, out)));
      continue;
    }
    auto m = std::make_unique<SparseMatrix>(size, out, true);
    for (int64_t o = 0; o < out; ++o) {
      const int64_t first = adaptive_start(o, size, out), last = adaptive_end(o, size, out);
      m->add_row(first, last, 1.0 / double(last - first));
    }
    map->axes.push_back(std::move(m));
  }
  return map;
}

}  // namespace

Tensor average_pool(int dims, const Tensor& input, const PoolOptions& options, bool include,
                    std::optional<int64_t> divisor) {
  const char* name = kNames[dims - 1];
  const std::vector<PoolAxis> axes = pool_axes(name, dims, input, options);
  require(!divisor || *divisor != 0, "divisor must be not zero");
  const bool whole = !is_floating(input.dtype());
  require<NotImplementedError>(!whole || input.dtype() == Dtype::int64, "\"", name, "\" not implemented for '",
                               input.dtype(), "'");
  MapKey key{whole, include, divisor.has_value(), divisor.value_or(0)};
  for (const PoolAxis& a : axes)
    for (int64_t n : {a.size, a.out, a.kernel, a.stride, a.padding}) key.push_back(n);
  const auto make = [&] { return average_map(axes, include, divisor, whole); };
  const Tensor out = resample(kNodes[dims - 1], key, make, input);
  return whole ? divided(out, axes, include, divisor) : out;
}

Tensor adaptive_average_pool(int dims, const Tensor& input, const std::vector<std::optional<int64_t>>& output) {
  const char* name = kAdaptiveNames[dims - 1];
  const Shape sizes = adaptive_sizes(name, dims, input, output, dims < 3 ? std::max(input.dim() - dims, 0) : 1);
  require<NotImplementedError>(is_floating(input.dtype()), "\"", name, "\" not implemented for '", input.dtype(), "'");
  if (product(sizes) == 1) return mean_of_planes(kAdaptiveNodes[dims - 1], dims, input);
  const Shape from(input.shape().end() - dims, input.shape().end());
  MapKey key(from.begin(), from.end());
  key.append(sizes.begin(), sizes.end());
  return resample(kAdaptiveNodes[dims - 1], key, [&] { return adaptive_map(input.is_meta(), from, sizes); }, input);
}

namespace {

template <int dims>
Tensor pool_average(const Tensor& input, const Shape& kernel, const OptionalDims& stride, const Shape& padding,
                    bool ceil_mode, bool include, std::optional<int64_t> divisor) {
  return average_pool(dims, input, {kernel, stride.value_or(Shape()), padding, {}, ceil_mode}, include, divisor);
}
template <int dims>
Tensor pool_adaptive_average(const Tensor& input, const OptionalSizes& output_size) {
  return adaptive_average_pool(dims, input, output_size);
}

const Operator avg_pool1d_operator(
    {.signature = "avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True)",
     .forms = kFunction,
     .doc = "Compute the mean of each window. Gradient: input; divided evenly among the elements of a window.",
     .forward =
         [](const Tensor& t, const Shape& kernel, const OptionalDims& stride, const Shape& padding, bool ceil_mode,
            bool include) { return pool_average<1>(t, kernel, stride, padding, ceil_mode, include, std::nullopt); },
     .reference = "np.lib.stride_tricks.sliding_window_view(input, (kernel_size,) * 1, (-1,))[..., ::kernel_size, "
                  ":].mean((-1,))",
     .samples = "f(2, 3, 4), 2"});

const Operator avg_pool2d_operator(
    {.signature = "avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, "
                  "divisor_override=None)",
     .forms = kFunction | kOut | kExactOut,
     .doc = "Compute the mean of each window; divisor_override replaces the number of its elements. Gradient: input; "
            "divided evenly among the elements of a window.",
     .forward = pool_average<2>,
     .reference = "np.lib.stride_tricks.sliding_window_view(input, (kernel_size,) * 2, (-2, -1,))[..., ::kernel_size, "
                  "::kernel_size, :, :].mean((-2, -1))",
     .samples = "f(2, 3, 4, 4), 2"});

const Operator avg_pool3d_operator(
    {.signature = "avg_pool3d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, "
                  "divisor_override=None)",
     .forms = kFunction | kOut | kExactOut | kFloat32,
     .doc = "Compute the mean of each window; divisor_override replaces the number of its elements. Gradient: input; "
            "divided evenly among the elements of a window.",
     .forward = pool_average<3>,
     .reference = "np.lib.stride_tricks.sliding_window_view(input, (kernel_size,) * 3, (-3, -2, -1,))[..., "
                  "::kernel_size, ::kernel_size, ::kernel_size, :, :, :].mean((-3, -2, -1))",
     .samples = "f(2, 3, 4, 4, 4), 2"});

const Operator adaptive_avg_pool1d_operator(
    {.signature = "adaptive_avg_pool1d(input, output_size)",
     .forms = kFunction,
     .doc = "Divide the image into output_size windows of nearly equal size and compute the mean of each window; None "
            "keeps a size. Gradient: input; divided evenly among the elements of a window.",
     .forward = pool_adaptive_average<1>,
     .reference = "input.reshape((*input.shape[:-1], *(output_size, input.shape[-1] // output_size))).mean((-1,))",
     .samples = "f(2, 3, 4), 2"});

const Operator _adaptive_avg_pool2d_operator(
    {.signature = "_adaptive_avg_pool2d(input, output_size)",
     .forms = kPrivate,
     .doc = "Divide the image into output_size windows of nearly equal size and compute the mean of each window; None "
            "keeps a size. Gradient: input; divided evenly among the elements of a window.",
     .forward = pool_adaptive_average<2>,
     .reference = "input.reshape((*input.shape[:-2], *(output_size, input.shape[-2] // output_size), *(output_size, "
                  "input.shape[-1] // output_size))).mean((-3, -1))",
     .samples = "f(2, 3, 4, 4), 2"});

const Operator _adaptive_avg_pool3d_operator(
    {.signature = "_adaptive_avg_pool3d(input, output_size)",
     .forms = kPrivate | kFloat32,
     .doc = "Divide the image into output_size windows of nearly equal size and compute the mean of each window; None "
            "keeps a size. Gradient: input; divided evenly among the elements of a window.",
     .forward = pool_adaptive_average<3>,
     .reference =
         "input.reshape((*input.shape[:-3], *(output_size, input.shape[-3] // output_size), *(output_size, "
         "input.shape[-2] // output_size), *(output_size, input.shape[-1] // output_size))).mean((-5, -3, -1))",
     .samples = "f(2, 3, 4, 4, 4), 2"});

}  // namespace

}  // namespace flambeau
