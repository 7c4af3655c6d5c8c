// Convolutions whose kernel covers the whole image, and their gradients: one matrix product for each group.
#include <algorithm>

#include "operators/convolution/convolution.h"
#include "operators/products/products.h"

namespace flambeau {

using Geometry = ConvolutionGeometry;

Tensor product_forward(const Geometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias,
                       const ConvolutionFinish& finish) {
  const int64_t filters = g.group_filters(), taps = g.taps();
  const Tensor out = finish.output(g, input.dtype());
  dispatch_working(input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T *x = input.data<T>(), *w = weight.data<T>();
    T* const y = out.data<T>();
    for (int64_t n = 0; bias.defined() && n < g.batch; ++n) std::copy_n(bias.data<T>(), g.filters, y + n * g.filters);
    for (int64_t group = 0; group < g.groups; ++group)
      gemm(g.batch, filters, taps, 1, {x + group * taps, g.groups * taps, 1}, {w + group * filters * taps, 1, taps},
           bias.defined() ? 1 : 0, reinterpret_cast<char*>(y + group * filters), g.filters, input.dtype());
    finish.apply(y, out.numel());
  });
  return out;
}

Tensor product_input_gradient(const Geometry& g, const Tensor& grad, const Tensor& weight) {
  const int64_t filters = g.group_filters(), taps = g.taps();
  const Tensor out = empty(g.input_shape(), grad.dtype());
  dispatch_working(grad.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T *dy = grad.data<T>(), *w = weight.data<T>();
    for (int64_t group = 0; group < g.groups; ++group)
      gemm(g.batch, taps, filters, 1, {dy + group * filters, g.filters, 1}, {w + group * filters * taps, taps, 1}, 0,
           reinterpret_cast<char*>(out.data<T>() + group * taps), g.groups * taps, grad.dtype());
  });
  return out;
}

Tensor product_weight_gradient(const Geometry& g, const Tensor& input, const Tensor& grad) {
  const int64_t filters = g.group_filters(), taps = g.taps();
  const Tensor out = empty(g.weight_shape(), input.dtype());
  dispatch_working(input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T *x = input.data<T>(), *dy = grad.data<T>();
    for (int64_t group = 0; group < g.groups; ++group)
      gemm(filters, taps, g.batch, 1, {dy + group * filters, 1, g.filters}, {x + group * taps, g.groups * taps, 1}, 0,
           reinterpret_cast<char*>(out.data<T>() + group * filters * taps), taps, input.dtype());
  });
  return out;
}

}  // namespace flambeau
