// Fractional max pooling: windows at random positions.
#include <algorithm>

#include "flambeau/cuda.h"
#include "flambeau/operator.h"
#include "operators/images/max_windows.h"

namespace flambeau {

namespace {

// Returns windows of size `kernel`, whose starts depend on `sample`, a random number in [0, 1): Graham 2014,
// arXiv:1412.6071. T is the dtype of the random numbers, because rounding determines the integer starts.
template <class T>
Windows::Axis fractional_axis(int64_t size, int64_t out, int64_t kernel, T sample) {
  Windows::Axis w{size, 1, {}, {}};
  const T alpha = out > 1 ? T(size - kernel) / T(out - 1) : T(0);
  for (int64_t o = 0; o < out; ++o) {
    const int64_t start = o + 1 == out ? size - kernel : int64_t((T(o) + sample) * alpha) - int64_t(sample * alpha);
    w.start.push_back(std::clamp<int64_t>(start, 0, size - kernel));
    w.count.push_back(kernel);
  }
  return w;
}

TensorPair fractional_on_gpu(int dims, const Tensor& input, const Shape& shape, const Shape& kernel,
                             const Tensor& samples) {
  NoRecording off;
  cuda::PoolWindows w{{1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, false};
  for (size_t i = 0, count = size_t(dims); i < count; ++i) {
    const size_t at = 3 - count + i, from = shape.size() - count + i;
    w.size[at] = input.shape()[from], w.out[at] = shape[from], w.kernel[at] = kernel[i];
  }
  const TensorPair result{empty(shape, input.dtype()), empty(shape, Dtype::int64)};
  cuda::fractional_max_pool(w, result.values, result.indices, contiguous(input), samples);
  return result;
}

}  // namespace

TensorPair fractional_max_pool(int dims, const Tensor& input, const Shape& kernel, const Shape& output,
                               const Tensor& samples) {
  const char* name = dims == 2 ? "fractional_max_pool2d" : "fractional_max_pool3d";
  check_pool_input(name, dims, input, 1);
  require<NotImplementedError>(is_floating(input.dtype()), "\"", name, "\" not implemented for '", input.dtype(), "'");
  const Shape kernels = one_per_dimension(name, "kernel_size", kernel, dims),
              sizes = one_per_dimension(name, "output_size", output, dims);
  const bool batched = input.dim() == dims + 2;
  const int64_t batch = batched ? input.size(0) : 1, channels = input.size(batched ? 1 : 0);
  require(samples.dim() == 3 && samples.size(0) == batch && samples.size(1) == channels && samples.size(2) == dims,
          name, ": Expect _random_samples to have the shape ", Shape{batch, channels, dims}, ", got ", samples.shape());
  require(samples.dtype() == input.dtype(), name, ": _random_samples must have the input's dtype ", input.dtype(),
          ", got ", samples.dtype());
  Shape shape = input.shape();
  int64_t positions = 1;
  for (int i = 0; i < dims; ++i) {
    const int64_t size = input.size(i - dims);
    require(kernels[i] > 0 && sizes[i] >= 0, name,
            ": kernel_size must be positive and output_size must not be negative, got ", kernels, " and ", sizes);
    constexpr const char* kSides[] = {"time", "height", "width"};
    require(kernels[i] <= size && sizes[i] <= size && sizes[i] + kernels[i] - 1 <= size, name, ": kernel_size ",
            kernels, " and output_size ", sizes, " are too large relative to input ", kSides[3 - dims + i],
            ": input shape ", input.shape());
    shape[shape.size() - size_t(dims - i)] = sizes[i];
    positions *= size;
  }
  const char* node = dims == 2 ? "FractionalMaxPool2D" : "FractionalMaxPool3D";
  const Tensor uniform = contiguous(to(samples, Dtype::float64));
  if (cuda::runs_on_gpu(input))
    return recorded_max_pool(node, dims, input, fractional_on_gpu(dims, input, shape, kernels, uniform));
  return recorded_max_pool(
      node, dims, input,
      over_planes(input, shape, positions, MemoryFormat::Contiguous,
                  [&](Dtype type, int64_t plane, const char* in, char* out, int64_t* indices) {
                    std::vector<Windows::Axis> axes;
                    for (int i = 0; i < dims; ++i) {
                      // In two dimensions, the samples of a plane have the order width, height.
                      const int at = dims == 2 ? 1 - i : i;
                      const double sample = uniform.data<double>()[plane * dims + at];
                      const int64_t size = input.size(i - dims);
                      axes.push_back(input.dtype() == Dtype::float64
                                         ? fractional_axis(size, sizes[i], kernels[i], sample)
                                         : fractional_axis(size, sizes[i], kernels[i], float(sample)));
                    }
                    const Windows windows(std::move(axes));
                    kernels::networks().max_windows[kernel_index(type)](windows.view(), in, out, indices);
                  }));
}

namespace {

template <int dims>
TensorPair pool_fractional_max(const Tensor& input, const Shape& kernel, const Shape& output, const Tensor& samples) {
  if (samples.defined()) return fractional_max_pool(dims, input, kernel, output, samples);
  const bool batched = input.dim() == dims + 2;
  const Tensor drawn = empty({batched ? input.size(0) : 1, input.dim() ? input.size(batched) : 0, dims}, input.dtype());
  if (is_floating(input.dtype())) fill_uniform(drawn, 0, 1, nullptr);
  return fractional_max_pool(dims, input, kernel, output, drawn);
}

const Operator _fractional_max_pool2d_operator(
    {.signature = "_fractional_max_pool2d(input, kernel_size, output_size, samples=None)",
     .forms = kPrivate | kFloat32,
     .doc = "Compute the maximum of each of output_size windows, and its position. Random samples (N, C, dimensions) "
            "in [0, 1) determine the starts of the windows. Source: Graham 2014, arXiv:1412.6071.",
     .forward = pool_fractional_max<2>});

const Operator _fractional_max_pool3d_operator(
    {.signature = "_fractional_max_pool3d(input, kernel_size, output_size, samples=None)",
     .forms = kPrivate | kFloat32,
     .doc = "Compute the maximum of each of output_size windows, and its position. Random samples (N, C, dimensions) "
            "in [0, 1) determine the starts of the windows. Source: Graham 2014, arXiv:1412.6071.",
     .forward = pool_fractional_max<3>});

}  // namespace

}  // namespace flambeau
