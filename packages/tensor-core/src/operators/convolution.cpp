// Two-dimensional convolution (cross-correlation, as in deep learning).
//
// Note [Convolution]
// Three functions form a closed set under differentiation: the convolution y(x, w), the gradient of its input dx(dy, w)
// and that of its weight dw(x, dy). Each is linear in both arguments and the derivative of each is made of the other
// two. With stride 1 they run directly (direct_convolution.cpp); otherwise all three unfold a sample into a matrix
// (C * kh * kw, oh * ow) and multiply.
#include "operators/convolution.h"
#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "operators/products.h"

#include <cstring>

namespace flambeau {

namespace {

using Geometry = ConvolutionGeometry;

Dtype working_type(const Tensor& t) {
  if (!is_floating(t.dtype())) return Dtype::int64;
  return t.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32;
}
Tensor prepared(const Tensor& t, Dtype type) { return contiguous(to(t, type)); }

int64_t out_size(int64_t in, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation) {
  return (in + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
}

Tensor forward_values(const Geometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias) {
  const Dtype type = working_type(input);
  const Tensor x = prepared(input, type), w = prepared(weight, type), b = bias.defined() ? prepared(bias, type) : bias;
  Tensor out = empty(g.output_shape(), type);
  if (out.numel() == 0) return to(out, input.dtype());
  if (is_floating(type) && g.direct()) return to(direct_forward(g, x, w, b), input.dtype());
  const auto run = [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto& table = kernels::table();
    const bool real64 = sizeof(T) == 8;  // unfolding only copies, so it serves int64 as well
    const kernels::Patches patches = g.patches();
    parallel_items(g.batch, sample_grain(g), [&](int64_t begin, int64_t end) {
      const Block columns(g.plain() ? 0 : g.taps() * g.positions() * int64_t(sizeof(T)));
      for (int64_t n = begin; n < end; ++n)
        for (int64_t group = 0; group < g.groups; ++group) {
          const T* image = x.data<T>() + (n * g.channels + group * g.group_channels()) * g.height * g.width;
          T* to = out.data<T>() + (n * g.filters + group * g.group_filters()) * g.positions();
          if (b.defined())
            for (int64_t f = 0; f < g.group_filters(); ++f)
              std::fill(to + f * g.positions(), to + (f + 1) * g.positions(),
                        b.data<T>()[group * g.group_filters() + f]);
          if (!g.plain()) table.unfold[real64](patches, reinterpret_cast<const char*>(image), columns.get());
          gemm(g.group_filters(), g.positions(), g.taps(), 1,
               {w.data<T>() + group * g.group_filters() * g.taps(), g.taps(), 1},
               {g.plain() ? static_cast<const void*>(image) : columns.get(), g.positions(), 1}, b.defined() ? 1 : 0,
               reinterpret_cast<char*>(to), g.positions(), type);
        }
    });
  };
  if (type == Dtype::int64)
    run(TypeTag<int64_t>{});
  else
    dispatch_real(type, run);
  return to(out, input.dtype());
}

Tensor input_gradient_values(const Geometry& g, const Tensor& grad, const Tensor& weight) {
  const Dtype type = working_type(grad);
  const Tensor dy = prepared(grad, type), w = prepared(weight, type);
  if (product(g.input_shape()) == 0 || dy.numel() == 0) return to(zeros(g.input_shape(), type), grad.dtype());
  if (g.direct()) return to(direct_input_gradient(g, dy, w), grad.dtype());
  Tensor out = g.plain() ? empty(g.input_shape(), type) : zeros(g.input_shape(), type);
  dispatch_real(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto& table = kernels::table();
    const bool real64 = type == Dtype::float64;
    const kernels::Patches patches = g.patches();
    parallel_items(g.batch, sample_grain(g), [&](int64_t begin, int64_t end) {
      const Block columns(g.plain() ? 0 : g.taps() * g.positions() * int64_t(sizeof(T)));
      for (int64_t n = begin; n < end; ++n)
        for (int64_t group = 0; group < g.groups; ++group) {
          T* image = out.data<T>() + (n * g.channels + group * g.group_channels()) * g.height * g.width;
          const T* from = dy.data<T>() + (n * g.filters + group * g.group_filters()) * g.positions();
          gemm(g.taps(), g.positions(), g.group_filters(), 1,
               {w.data<T>() + group * g.group_filters() * g.taps(), 1, g.taps()}, {from, g.positions(), 1}, 0,
               g.plain() ? reinterpret_cast<char*>(image) : columns.get(), g.positions(), type);
          if (!g.plain()) table.fold[real64](patches, columns.get(), reinterpret_cast<char*>(image));
        }
    });
  });
  return to(out, grad.dtype());
}

Tensor weight_gradient_values(const Geometry& g, const Tensor& input, const Tensor& grad) {
  const Dtype type = working_type(input);
  const Tensor x = prepared(input, type), dy = prepared(grad, type);
  if (x.numel() == 0 || dy.numel() == 0) return to(zeros(g.weight_shape(), type), input.dtype());
  if (g.direct()) return to(direct_weight_gradient(g, x, dy), input.dtype());
  const int64_t parts = std::min(kConvolutionParts, g.batch), weights = g.filters * g.taps();
  Tensor partial = empty({parts, weights}, type);
  dispatch_real(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto& table = kernels::table();
    const bool real64 = type == Dtype::float64;
    const kernels::Patches patches = g.patches();
    const int64_t grain = std::max<int64_t>(1, sample_grain(g) * parts / g.batch);
    parallel_items(parts, grain, [&](int64_t begin, int64_t end) {
      const Block columns(g.plain() ? 0 : g.taps() * g.positions() * int64_t(sizeof(T)));
      for (int64_t part = begin; part < end; ++part) {
        const int64_t first = g.batch * part / parts, last = g.batch * (part + 1) / parts;
        for (int64_t n = first; n < last; ++n)
          for (int64_t group = 0; group < g.groups; ++group) {
            const T* image = x.data<T>() + (n * g.channels + group * g.group_channels()) * g.height * g.width;
            const T* from = dy.data<T>() + (n * g.filters + group * g.group_filters()) * g.positions();
            if (!g.plain()) table.unfold[real64](patches, reinterpret_cast<const char*>(image), columns.get());
            T* to = partial.data<T>() + part * weights + group * g.group_filters() * g.taps();
            gemm(g.group_filters(), g.taps(), g.positions(), 1, {from, g.positions(), 1},
                 {g.plain() ? static_cast<const void*>(image) : columns.get(), 1, g.positions()}, n == first ? 0 : 1,
                 reinterpret_cast<char*>(to), g.taps(), type);
          }
      }
    });
  });
  return to(reshape(parts == 1 ? partial : sum(partial, Shape{0}, false, std::nullopt), g.weight_shape()),
            input.dtype());
}

Tensor convolve(const Geometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias);
Tensor weight_gradient(const Geometry& g, const Tensor& input, const Tensor& grad);

Tensor input_gradient(const Geometry& g, const Tensor& grad, const Tensor& weight) {
  Tensor out;
  {
    GradMode off(false);
    out = input_gradient_values(g, grad, weight);
  }
  if (recording(grad, weight))
    record("Conv2DInput", out, {&grad, &weight}, {&grad, &weight}, [g](const Context& c) {
      if (c.needs(0)) c.set(0, convolve(g, c.gradient(), c.saved(1), Tensor()));
      if (c.needs(1)) c.set(1, weight_gradient(g, c.gradient(), c.saved(0)));
    });
  return out;
}

Tensor weight_gradient(const Geometry& g, const Tensor& input, const Tensor& grad) {
  Tensor out;
  {
    GradMode off(false);
    out = weight_gradient_values(g, input, grad);
  }
  if (recording(input, grad))
    record("Conv2DWeight", out, {&input, &grad}, {&input, &grad}, [g](const Context& c) {
      if (c.needs(0)) c.set(0, input_gradient(g, c.saved(1), c.gradient()));
      if (c.needs(1)) c.set(1, convolve(g, c.saved(0), c.gradient(), Tensor()));
    });
  return out;
}

Tensor convolve(const Geometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias) {
  Tensor out;
  {
    GradMode off(false);
    out = forward_values(g, input, weight, bias);
  }
  if (recording(input, weight, bias))
    record("Convolution", out, {&input, &weight, &bias}, {&input, &weight}, [g](const Context& c) {
      if (c.needs(0)) c.set(0, input_gradient(g, c.gradient(), c.saved(1)));
      if (c.needs(1)) c.set(1, weight_gradient(g, c.saved(0), c.gradient()));
      if (c.needs(2)) c.set(2, sum(c.gradient(), Shape{0, 2, 3}, false, std::nullopt));
    });
  return out;
}

}  // namespace

Tensor conv2d(const Tensor& input, const Tensor& weight, const Tensor& bias, const Shape& stride, const Shape& padding,
              const Shape& dilation, int64_t groups) {
  require(input.dim() == 3 || input.dim() == 4,
          "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: ", input.shape());
  if (input.dim() == 3)
    return squeeze(conv2d(unsqueeze(input, 0), weight, bias, stride, padding, dilation, groups), Shape{0});
  require(weight.dim() == 4, "conv2d: expected a 4-dimensional weight, got shape ", weight.shape());
  require(input.dtype() == weight.dtype(), "Input type (", input.dtype(), ") and weight type (", weight.dtype(),
          ") should be the same");
  require<NotImplementedError>(input.dtype() != Dtype::bool_, "\"conv2d\" not implemented for '", input.dtype(), "'");
  require(groups > 0, "non-positive groups is not supported, got ", groups);
  constexpr int64_t kLargest = int64_t(1) << 31;  // sums and products of these stay far from overflow
  for (int i = 0; i < 2; ++i) {
    require(stride[i] < kLargest && padding[i] < kLargest && dilation[i] < kLargest,
            "conv2d: stride, padding and dilation must be below 2**31, got ", stride, ", ", padding, ", ", dilation);
    require(stride[i] > 0, "non-positive stride is not supported, got ", stride);
    require(padding[i] >= 0, "negative padding is not supported, got ", padding);
    require(dilation[i] > 0, "dilation should be greater than zero, got ", dilation);
  }
  require(weight.size(0) % groups == 0 && weight.size(0) > 0, "Given groups=", groups,
          ", expected weight to be at least ", groups, " at dimension 0 and divisible by it, but got weight of size ",
          weight.shape());
  require(input.size(1) == weight.size(1) * groups, "Given groups=", groups, ", weight of size ", weight.shape(),
          ", expected input", input.shape(), " to have ", weight.size(1) * groups, " channels, but got ", input.size(1),
          " channels instead");
  require(!bias.defined() || (bias.dim() == 1 && bias.size(0) == weight.size(0)), "Given weight of size ",
          weight.shape(), ", expected bias to be 1-dimensional with ", weight.size(0),
          " elements, but got bias of size ", bias.defined() ? bias.shape() : Shape(), " instead");
  require(!bias.defined() || bias.dtype() == input.dtype(), "Input type (", input.dtype(),
          ") and bias type should be the same");
  Geometry g{
      input.size(0), input.size(1), input.size(2), input.size(3), weight.size(0), weight.size(2), weight.size(3), 0, 0,
      stride[0],     stride[1],     padding[0],    padding[1],    dilation[0],    dilation[1],    groups};
  const int64_t reach_h = dilation[0] * (g.kernel_h - 1) + 1, reach_w = dilation[1] * (g.kernel_w - 1) + 1;
  require(g.kernel_h > 0 && g.kernel_w > 0 && g.kernel_h < kLargest && g.kernel_w < kLargest,
          "conv2d: the kernel's sizes must be positive and below 2**31, got weight of size ", weight.shape());
  require(g.kernel_h > 0 && g.kernel_w > 0 && g.height + 2 * g.pad_h >= reach_h && g.width + 2 * g.pad_w >= reach_w,
          "Calculated padded input size per channel: (", g.height + 2 * g.pad_h, " x ", g.width + 2 * g.pad_w,
          "). Kernel size: (", reach_h, " x ", reach_w, "). Kernel size can't be greater than actual input size");
  g.out_h = out_size(g.height, g.kernel_h, g.stride_h, g.pad_h, g.dilation_h);
  g.out_w = out_size(g.width, g.kernel_w, g.stride_w, g.pad_w, g.dilation_w);
  return convolve(g, input, weight, bias);
}

}  // namespace flambeau
