// unfold, which copies sliding windows to columns, and fold, which adds them up. Each one is the derivative of the
// other.
#include "cuda/layers/convolution.h"
#include "flambeau/cuda.h"
#include "flambeau/operator.h"
#include "flambeau/parallel.h"
#include "operators/convolution/convolution.h"

namespace flambeau {

namespace {

using kernels::Patches;

Dtype working_type(Dtype d) {
  if (!is_floating(d)) return Dtype::int64;
  return d == Dtype::float64 ? Dtype::float64 : Dtype::float32;
}
int kernel_index(Dtype type) { return type == Dtype::float32 ? 0 : type == Dtype::float64 ? 1 : 2; }

struct Window {
  Patches patches;
  int64_t image() const { return patches.channels * product(patches.size); }
  int64_t columns() const { return patches.channels * product(patches.kernel) * product(patches.out); }
};

Tensor fold_batch(const Window& w, const Tensor& columns);

// Returns the geometry of a convolution that has the same windows. Its number of filters does not matter.
ConvolutionGeometry geometry_of(const Window& w, int64_t batch) {
  const Patches& p = w.patches;
  return {batch, p.channels, 1, 1, 2, p.size, p.kernel, p.out, p.stride, p.padding, p.dilation};
}
bool runs_on_gpu(const Window& w, const Tensor& t) {
  return cuda::runs_on_gpu(t) && cuda::convolves(geometry_of(w, t.size(0)));
}

// unfold_batch() and fold_batch() accept tensors (N, ...) with any strides.
Tensor unfold_batch(const Window& w, const Tensor& image) {
  Tensor out;
  {
    NoRecording off;
    const Patches& p = w.patches;
    const bool on_gpu = runs_on_gpu(w, image);
    const Dtype type = on_gpu ? image.dtype() : working_type(image.dtype());
    const Tensor x = contiguous(to(image, type));
    out = empty({x.size(0), p.channels * product(p.kernel), product(p.out)}, type);
    if (on_gpu) cuda::unfold(geometry_of(w, x.size(0)), out, x);
    const auto unfold = kernels::table().unfold[kernel_index(type)];
    const int64_t size = item_size(type), batch = x.is_meta() || on_gpu ? 0 : x.size(0);
    parallel_items(batch, std::max<int64_t>(1, 30000 / (w.columns() + 1)), [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n)
        unfold(p, x.bytes() + n * w.image() * size, out.bytes() + n * w.columns() * size, product(p.out));
    });
    out = to(out, image.dtype());
  }
  if (recording(image))
    record("Im2Col", out, {&image}, {}, [w](const Context& c) { c.set(0, fold_batch(w, c.gradient())); });
  return out;
}

Tensor fold_batch(const Window& w, const Tensor& columns) {
  Tensor out;
  {
    NoRecording off;
    const Patches& p = w.patches;
    const bool on_gpu = runs_on_gpu(w, columns);
    const Dtype type = on_gpu ? columns.dtype() : working_type(columns.dtype());
    const Tensor x = contiguous(to(columns, type));
    out = zeros({x.size(0), p.channels, p.size[1], p.size[2]}, type);
    if (on_gpu) cuda::fold(geometry_of(w, x.size(0)), out, x);
    const auto fold = kernels::table().fold[kernel_index(type)];
    const int64_t size = item_size(type), batch = x.is_meta() || on_gpu ? 0 : x.size(0);
    parallel_items(batch, std::max<int64_t>(1, 30000 / (w.columns() + 1)), [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n)
        fold(p, x.bytes() + n * w.columns() * size, out.bytes() + n * w.image() * size, product(p.out));
    });
    out = to(out, columns.dtype());
  }
  if (recording(columns))
    record("Col2Im", out, {&columns}, {}, [w](const Context& c) { c.set(0, unfold_batch(w, c.gradient())); });
  return out;
}

Sizes pair(const char* name, const char* argument, const Shape& values, int64_t outside, int64_t least) {
  require(values.size() == 1 || values.size() == 2, name, ": ", argument, " must be an int or a pair, got ", values);
  constexpr int64_t kLargest = int64_t(1) << 31;
  const Sizes s{outside, values[0], values[values.size() - 1]};
  require(s[1] >= least && s[2] >= least, name, ": ", argument, " should be ",
          least ? "greater than zero" : "non-negative", ", but got ", values);
  require(s[1] < kLargest && s[2] < kLargest, name, ": ", argument, " must be below 2**31, got ", values);
  return s;
}

Window window_of(const char* name, int64_t height, int64_t width, const Shape& kernel, const Shape& dilation,
                 const Shape& padding, const Shape& stride) {
  Window w{{0,
            {1, height, width},
            pair(name, "kernel_size", kernel, 1, 1),
            {1, 1, 1},
            pair(name, "stride", stride, 1, 1),
            pair(name, "padding", padding, 0, 0),
            pair(name, "dilation", dilation, 1, 1)}};
  Patches& p = w.patches;
  for (size_t i = 1; i < 3; ++i) {
    const int64_t room = p.size[i] + 2 * p.padding[i] - p.dilation[i] * (p.kernel[i] - 1) - 1;
    require(room >= 0, name, ": given spatial size ", Shape{height, width}, ", kernel_size=", kernel,
            ", dilation=", dilation, ", padding=", padding,
            ", calculated shape of the array of sliding blocks is too small: its components must be at least one");
    p.out[i] = room / p.stride[i] + 1;
  }
  return w;
}

}  // namespace

Tensor unfold_windows(const Tensor& input, const Shape& kernel, const Shape& dilation, const Shape& padding,
                      const Shape& stride) {
  require(input.dim() == 3 || input.dim() == 4,
          "unfold: Expected 3D (unbatched) or 4D (batched) input with possibly 0 batch size and other non-zero "
          "dimensions for input, but got: ",
          input.shape());
  if (input.dim() == 3)
    return squeeze(unfold_windows(unsqueeze(input, 0), kernel, dilation, padding, stride), Shape{0});
  if (is_complex(input.dtype()))
    return complex(unfold_windows(real(input), kernel, dilation, padding, stride),
                   unfold_windows(imag(input), kernel, dilation, padding, stride));
  for (int i = 1; i < 4; ++i)
    require(input.size(i) > 0, "unfold: Expected non-zero dimensions except for the batch, but got: ", input.shape());
  Window w = window_of("unfold", input.size(2), input.size(3), kernel, dilation, padding, stride);
  w.patches.channels = input.size(1);
  return unfold_batch(w, input);
}

const Operator _unfold_windows_operator(
    {.signature = "_unfold_windows(input, kernel_size, dilation=1, padding=0, stride=1)",
     .forms = kPrivate,
     .doc = "Extract the sliding windows of (N, C, H, W) as columns (N, C * window, windows). Gradient: input; summed "
            "over the windows that contain an element.",
     .forward = unfold_windows});

Tensor fold_windows(const Tensor& input, const Shape& output, const Shape& kernel, const Shape& dilation,
                    const Shape& padding, const Shape& stride) {
  require(input.dim() == 2 || input.dim() == 3,
          "fold: Expected 2D (unbatched) or 3D (batched) input with possibly 0 batch size and non-zero dimensions, but "
          "got: ",
          input.shape());
  if (input.dim() == 2)
    return squeeze(fold_windows(unsqueeze(input, 0), output, kernel, dilation, padding, stride), Shape{0});
  if (is_complex(input.dtype()))
    return complex(fold_windows(real(input), output, kernel, dilation, padding, stride),
                   fold_windows(imag(input), output, kernel, dilation, padding, stride));
  const Sizes size = pair("fold", "output_size", output, 1, 1);
  Window w = window_of("fold", size[1], size[2], kernel, dilation, padding, stride);
  const int64_t taps = product(w.patches.kernel), blocks = product(w.patches.out);
  require(input.size(1) > 0 && input.size(1) % taps == 0,
          "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got input.size(1)=",
          input.size(1), " and kernel_size=", kernel);
  require(input.size(2) == blocks, "Given output_size=", output, ", kernel_size=", kernel, ", dilation=", dilation,
          ", padding=", padding, ", stride=", stride, ", expected size of input's dimension 2 to match the calculated ",
          "number of sliding blocks ", blocks, ", but got input.size(2)=", input.size(2));
  w.patches.channels = input.size(1) / taps;
  return fold_batch(w, input);
}

const Operator _fold_windows_operator(
    {.signature = "_fold_windows(input, output_size, kernel_size, dilation=1, padding=0, stride=1)",
     .forms = kPrivate,
     .doc = "Add up columns at the positions of their windows. This is the transpose of _unfold_windows. Gradient: the "
            "columns.",
     .forward = fold_windows});

}  // namespace flambeau
