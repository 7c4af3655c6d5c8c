// Max pooling over equal or adaptive windows.
#include <algorithm>
#include <cstring>

#include "cuda/runtime/pool.h"
#include "flambeau/cuda.h"
#include "flambeau/operator.h"
#include "operators/images/max_windows.h"

namespace flambeau {

namespace {

constexpr int64_t kLargest = int64_t(1) << 31;  // options must be smaller, so that sizes do not overflow

int64_t out_size(const PoolAxis& a, bool ceil_mode) {
  const int64_t room = a.size + 2 * a.padding - a.dilation * (a.kernel - 1) - 1;
  if (room < 0) return ceil_mode && room + a.stride > 0 ? 1 : 0;
  int64_t out = (room + (ceil_mode ? a.stride - 1 : 0)) / a.stride + 1;
  if (ceil_mode && (out - 1) * a.stride >= a.size + a.padding) --out;  // the last window must begin inside the image
  return out;
}

}  // namespace

Shape one_per_dimension(const char* name, const char* argument, const Shape& values, int dims) {
  require(values.size() == 1 || values.size() == size_t(dims), name, ": ", argument,
          " must either be a single int, or ", "a tuple of ", dims, " ints, got ", values);
  return values.size() == 1 ? Shape(size_t(dims), values[0]) : values;
}

void check_pool_input(const char* name, int dims, const Tensor& t, int first) {
  require(t.dim() == dims + 1 || t.dim() == dims + 2, name, ": Expected ", dims + 1, "D or ", dims + 2,
          "D input, got shape ", t.shape());
  for (int i = first; i < t.dim(); ++i)
    require(t.size(i) > 0, name, ": Expected input to be a ", dims + 1, "D or ", dims + 2,
            "D (batch mode) tensor with non-zero sizes except for the batch, but got: ", t.shape());
}

std::vector<PoolAxis> pool_axes(const char* name, int dims, const Tensor& t, const PoolOptions& o) {
  const Shape kernel = one_per_dimension(name, "kernel_size", o.kernel, dims),
              stride = o.stride.empty() ? kernel : one_per_dimension(name, "stride", o.stride, dims),
              padding = one_per_dimension(name, "padding", o.padding, dims),
              dilation =
                  o.dilation.empty() ? Shape(size_t(dims), 1) : one_per_dimension(name, "dilation", o.dilation, dims);
  check_pool_input(name, dims, t, t.dim() == dims + 2);
  require<NotImplementedError>(t.dtype() != Dtype::bool_ && !is_complex(t.dtype()), "\"", name,
                               "\" not implemented for '", t.dtype(), "'");
  std::vector<PoolAxis> axes;
  for (int i = 0; i < dims; ++i) {
    const PoolAxis a{t.size(i - dims), 0, kernel[i], stride[i], padding[i], dilation[i]};
    require(a.kernel > 0 && a.stride >= 0 && a.dilation > 0, name,
            ": kernel size, stride and dilation must be positive, got ", kernel, ", ", stride, ", ", dilation);
    require(a.stride != 0, name, ": stride should not be zero, got ", stride);
    require(a.kernel < kLargest && a.stride < kLargest && a.dilation < kLargest, name,
            ": kernel size, stride and dilation must be below 2**31, got ", kernel, ", ", stride, ", ", dilation);
    require(a.padding >= 0, name, ": pad must be non-negative, but got pad: ", padding);
    require(a.padding <= a.kernel / 2, name,
            ": pad should be at most half of effective kernel size, but got pad=", padding, ", kernel_size=", kernel);
    axes.push_back(a);
  }
  for (PoolAxis& a : axes) {
    a.out = out_size(a, o.ceil_mode);
    require(a.out > 0, name, ": Given input size: ", t.shape(), ", kernel ", kernel, ", stride ", stride, ", padding ",
            padding, " and dilation ", dilation, ", the output size ", a.out, " is too small");
  }
  return axes;
}

Shape adaptive_sizes(const char* name, int dims, const Tensor& t, const std::vector<std::optional<int64_t>>& output,
                     int first) {
  require<ValueError>(dims == 1 || t.dim() > dims, "Input dimension should be at least ", dims + 1, " for ", name,
                      ", got shape ", t.shape());
  check_pool_input(name, dims, t, first);
  require(output.size() == 1 || output.size() == size_t(dims), name, ": output_size must be one int or ", dims,
          " of them, got ", output.size());
  Shape sizes;
  for (int i = 0; i < dims; ++i) {
    const auto& wanted = output[output.size() == 1 ? 0 : size_t(i)];
    sizes.push_back(wanted ? *wanted : t.size(i - dims));
    require(sizes.back() >= 0, name, ": elements of output_size must be greater than or equal to 0, got ", sizes);
    require(sizes.back() < kLargest, name, ": elements of output_size must be below 2**31, got ", sizes);
  }
  return sizes;
}

namespace {

Tensor derivative_on_gpu(const cuda::PoolWindows& windows, const Shape& shape, const Tensor& indices, const Tensor& g) {
  const Tensor out = empty(shape, g.dtype());
  cuda::max_pool_derivative(windows, out, contiguous(indices), contiguous(g));
  return out;
}

}  // namespace

TensorPair recorded_max_pool(const char* name, int dims, const Tensor& input, TensorPair result,
                             const std::optional<cuda::PoolWindows>& windows) {
  if (recording(input))
    record(
        name, {&result.values}, {&input}, {&result.indices}, [dims, shape = input.shape(), windows](const Context& c) {
          const Tensor& g = c.gradient();
          if (windows && cuda::runs_on_gpu(g) && !recording_enabled())
            return c.set(0, derivative_on_gpu(*windows, shape, c.saved(0), g));
          Shape flat(shape.begin(), shape.end() - dims), pooled = flat;
          int64_t positions = 1, windows = 1;
          for (int i = 0; i < dims; ++i) {
            positions *= shape[shape.size() - 1 - size_t(i)];
            windows *= g.size(-1 - i);
          }
          flat.push_back(positions);
          pooled.push_back(windows);
          const Tensor sums =
              scatter_add(zeros(flat, g.dtype()), -1, reshape(c.saved(0), pooled), reshape(g, pooled), Write::InPlace);
          const Tensor gradient = reshape(sums, shape);
          c.set(0, recording_enabled() ? gradient : laid_out(gradient, result_format(c.saved(0))));
        });
  return result;
}

namespace {

Windows::Axis windows_of(const PoolAxis& a) {
  Windows::Axis w{a.size, a.dilation, {}, {}};
  for (int64_t o = 0; o < a.out; ++o) {
    const int64_t begin = o * a.stride - a.padding, end = std::min(begin + a.dilation * (a.kernel - 1) + 1, a.size);
    const int64_t start = begin >= 0 ? begin : begin + (-begin + a.dilation - 1) / a.dilation * a.dilation;
    w.start.push_back(std::min(start, a.size - 1));
    w.count.push_back(std::max<int64_t>(0, (end - start + a.dilation - 1) / a.dilation));
  }
  return w;
}

// Computes max pooling on a GPU, for windows of equal size or for adaptive windows.
TensorPair max_on_gpu(const Tensor& input, const Shape& shape, const cuda::PoolWindows& windows) {
  NoRecording off;
  TensorPair result;
  result.values = empty(shape, input.dtype());
  result.indices = empty(shape, Dtype::int64);
  cuda::max_pool(windows, result.values, result.indices, contiguous(input));
  return result;
}

// Computes max pooling with one window that covers the complete plane.
TensorPair max_of_planes(const char* name, int dims, const Tensor& input, const Windows& windows) {
  const int64_t positions = windows.positions();
  return recorded_max_pool(name, dims, input,
                           over_planes(input, windows.output_shape(input.shape()), positions, result_format(input),
                                       [&](Dtype type, int64_t, const char* in, char* out, int64_t* index) {
                                         kernels::table().argmax[int(type)](index, in, 1, positions, 1, 1);
                                         std::memcpy(out, in + *index * item_size(type), size_t(item_size(type)));
                                       }));
}

TensorPair max_windows(const char* name, int dims, const Tensor& input, const Windows& windows) {
  const kernels::MaxWindows w = windows.view();
  return recorded_max_pool(
      name, dims, input,
      over_planes(input, windows.output_shape(input.shape()), windows.positions(), result_format(input),
                  [&](Dtype type, int64_t, const char* in, char* out, int64_t* indices) {
                    kernels::networks().max_windows[kernel_index(type)](w, in, out, indices);
                  }));
}

constexpr const char* kNames[] = {"max_pool1d", "max_pool2d", "max_pool3d"};
constexpr const char* kNodes[] = {"MaxPool1DWithIndices", "MaxPool2DWithIndices", "MaxPool3DWithIndices"};
constexpr const char* kAdaptiveNames[] = {"adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"};
constexpr const char* kAdaptiveNodes[] = {"AdaptiveMaxPool1D", "AdaptiveMaxPool2D", "AdaptiveMaxPool3D"};

}  // namespace

TensorPair max_pool(int dims, const Tensor& input, const PoolOptions& options) {
  const std::vector<PoolAxis> axes = pool_axes(kNames[dims - 1], dims, input, options);
  kernels::EqualWindows w{{1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}};
  Shape shape = input.shape();
  int64_t positions = 1;
  for (int i = 0; i < dims; ++i) {
    const PoolAxis& a = axes[size_t(i)];
    const size_t at = size_t(3 - dims + i);
    w.size[at] = a.size;
    w.out[at] = shape[shape.size() - size_t(dims - i)] = a.out;
    w.kernel[at] = a.kernel;
    w.stride[at] = a.stride;
    w.padding[at] = a.padding;
    w.dilation[at] = a.dilation;
    positions *= a.size;
  }
  if (cuda::runs_on_gpu(input)) {
    cuda::PoolWindows gpu_windows{{}, {}, {}, {}, {}, {}, false};
    for (size_t i = 0; i < 3; ++i) {
      gpu_windows.size[i] = w.size[i], gpu_windows.out[i] = w.out[i], gpu_windows.kernel[i] = w.kernel[i];
      gpu_windows.stride[i] = w.stride[i], gpu_windows.padding[i] = w.padding[i],
      gpu_windows.dilation[i] = w.dilation[i];
    }
    return recorded_max_pool(kNodes[dims - 1], dims, input, max_on_gpu(input, shape, gpu_windows), gpu_windows);
  }
  if (positions >= (int64_t(1) << 30)) {  // the kernel for equal windows uses 32-bit positions
    std::vector<Windows::Axis> windows;
    for (const PoolAxis& a : axes) windows.push_back(windows_of(a));
    return max_windows(kNodes[dims - 1], dims, input, Windows(std::move(windows)));
  }
  return recorded_max_pool(kNodes[dims - 1], dims, input,
                           over_planes(input, shape, positions, result_format(input),
                                       [&](Dtype type, int64_t, const char* in, char* out, int64_t* indices) {
                                         kernels::networks().max_equal_windows[kernel_index(type)](w, in, out, indices);
                                       }));
}

TensorPair adaptive_max_pool(int dims, const Tensor& input, const std::vector<std::optional<int64_t>>& output) {
  const char* name = kAdaptiveNames[dims - 1];
  const Shape sizes = adaptive_sizes(name, dims, input, output, 1);
  require<NotImplementedError>(is_floating(input.dtype()), "\"", name, "\" not implemented for '", input.dtype(), "'");
  if (cuda::runs_on_gpu(input)) {
    cuda::PoolWindows gpu_windows{{1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {}, {1, 1, 1}, true};
    Shape shape = input.shape();
    for (int i = 0; i < dims; ++i) {
      gpu_windows.size[3 - dims + i] = input.size(i - dims);
      gpu_windows.out[3 - dims + i] = shape[shape.size() - size_t(dims - i)] = sizes[size_t(i)];
    }
    return recorded_max_pool(kAdaptiveNodes[dims - 1], dims, input, max_on_gpu(input, shape, gpu_windows), gpu_windows);
  }
  std::vector<Windows::Axis> windows;
  for (int i = 0; i < dims; ++i) {
    Windows::Axis w{input.size(i - dims), 1, {}, {}};
    w.start.reserve(size_t(sizes[size_t(i)]));  // an error is raised immediately if the size is too large
    for (int64_t o = 0; o < sizes[size_t(i)]; ++o) {
      w.start.push_back(adaptive_start(o, w.size, sizes[size_t(i)]));
      w.count.push_back(adaptive_end(o, w.size, sizes[size_t(i)]) - w.start.back());
    }
    windows.push_back(std::move(w));
  }
  return (product(sizes) == 1 ? max_of_planes : max_windows)(kAdaptiveNodes[dims - 1], dims, input,
                                                             Windows(std::move(windows)));
}

namespace {

TensorOrTensors values_or_pair(const TensorPair& pair, bool indices) {
  if (!indices) return pair.values;
  return Tensors{pair.values, pair.indices};
}

template <int dims>
TensorOrTensors pool_max(const Tensor& input, const Shape& kernel, const OptionalDims& stride, const Shape& padding,
                         const Shape& dilation, bool ceil_mode, bool indices) {
  return values_or_pair(max_pool(dims, input, {kernel, stride.value_or(Shape()), padding, dilation, ceil_mode}),
                        indices);
}
template <int dims>
TensorOrTensors pool_adaptive_max(const Tensor& input, const OptionalSizes& output_size, bool indices) {
  return values_or_pair(adaptive_max_pool(dims, input, output_size), indices);
}
const Operator max_pool1d_operator(
    {.signature =
         "max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False)",
     .forms = kFunction,
     .doc = "Compute the maximum of each window and, with return_indices, its position in the image. Gradient: input; "
            "it flows to the positions of the maxima.",
     .forward = pool_max<1>,
     .reference =
         "np.lib.stride_tricks.sliding_window_view(input, (kernel_size,) * 1, (-1,))[..., ::kernel_size, :].max((-1,))",
     .samples = "f(2, 3, 4), 2"});

const Operator max_pool2d_operator(
    {.signature =
         "max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False)",
     .forms = kFunction,
     .doc = "Compute the maximum of each window and, with return_indices, its position in the image. Gradient: input; "
            "it flows to the positions of the maxima.",
     .forward = pool_max<2>,
     .reference = "np.lib.stride_tricks.sliding_window_view(input, (kernel_size,) * 2, (-2, -1,))[..., ::kernel_size, "
                  "::kernel_size, :, :].max((-2, -1))",
     .samples = "f(2, 3, 4, 4), 2"});

const Operator max_pool3d_operator(
    {.signature =
         "max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False)",
     .forms = kFunction | kFloat32,
     .doc = "Compute the maximum of each window and, with return_indices, its position in the image. Gradient: input; "
            "it flows to the positions of the maxima.",
     .forward = pool_max<3>,
     .reference = "np.lib.stride_tricks.sliding_window_view(input, (kernel_size,) * 3, (-3, -2, -1,))[..., "
                  "::kernel_size, ::kernel_size, ::kernel_size, :, :, :].max((-3, -2, -1))",
     .samples = "f(2, 3, 4, 4, 4), 2"});

const Operator _adaptive_max_pool1d_operator(
    {.signature = "_adaptive_max_pool1d(input, output_size, return_indices=False)",
     .forms = kPrivate,
     .doc = "Divide the image into output_size windows, and compute the maximum of each window and its position. "
            "Gradient: input; it flows to the positions of the maxima.",
     .forward = pool_adaptive_max<1>});

const Operator _adaptive_max_pool2d_operator(
    {.signature = "_adaptive_max_pool2d(input, output_size, return_indices=False)",
     .forms = kPrivate,
     .doc = "Divide the image into output_size windows, and compute the maximum of each window and its position. "
            "Gradient: input; it flows to the positions of the maxima.",
     .forward = pool_adaptive_max<2>});

const Operator _adaptive_max_pool3d_operator(
    {.signature = "_adaptive_max_pool3d(input, output_size, return_indices=False)",
     .forms = kPrivate | kFloat32,
     .doc = "Divide the image into output_size windows, and compute the maximum of each window and its position. "
            "Gradient: input; it flows to the positions of the maxima.",
     .forward = pool_adaptive_max<3>});

}  // namespace

}  // namespace flambeau
