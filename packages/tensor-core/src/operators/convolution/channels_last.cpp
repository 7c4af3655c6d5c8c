// 1x1 convolutions in the channels-last formats, and their gradients.
//
// Note [Channels last]
// In these formats, an activation is a matrix in memory: a row of channels for each position of each sample. A 1x1
// convolution multiplies this matrix by the weight, (filters, channels), and its result has the same format. Other
// convolutions compute on contiguous copies, and their results are copied to the format.
#include <algorithm>

#include "operators/convolution/convolution.h"
#include "operators/products/products.h"

namespace flambeau {

using Geometry = ConvolutionGeometry;

Tensor channels_last_forward(const Geometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias,
                             MemoryFormat format) {
  const int64_t rows = g.batch * g.positions();
  const Tensor out = empty_strided(g.output_shape(), strides_in(format, g.output_shape()), input.dtype());
  dispatch_working(input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* const y = out.data<T>();
    for (int64_t row = 0; bias.defined() && row < rows; ++row)
      std::copy_n(bias.data<T>(), g.filters, y + row * g.filters);
  });
  gemm(rows, g.filters, g.channels, 1, {input.bytes(), g.channels, 1}, {weight.bytes(), 1, g.channels},
       bias.defined() ? 1 : 0, out.bytes(), g.filters, input.dtype());
  return out;
}

Tensor channels_last_input_gradient(const Geometry& g, const Tensor& grad, const Tensor& weight, MemoryFormat format) {
  const Tensor out = empty_strided(g.input_shape(), strides_in(format, g.input_shape()), grad.dtype());
  gemm(g.batch * g.positions(), g.channels, g.filters, 1, {grad.bytes(), g.filters, 1}, {weight.bytes(), g.channels, 1},
       0, out.bytes(), g.channels, grad.dtype());
  return out;
}

Tensor channels_last_weight_gradient(const Geometry& g, const Tensor& input, const Tensor& grad) {
  const Tensor out = empty(g.weight_shape(), input.dtype());
  gemm(g.filters, g.channels, g.batch * g.positions(), 1, {grad.bytes(), 1, g.filters}, {input.bytes(), g.channels, 1},
       0, out.bytes(), g.channels, input.dtype());
  return out;
}

}  // namespace flambeau
