// Declarations for all convolution algorithms: Note [Convolution] in convolution.cpp. Internal to the family.
#pragma once

#include "core/working_memory.h"
#include "flambeau/memory_format.h"
#include "flambeau/operators/networks.h"
#include "tasks/convolution.h"

namespace flambeau {

// Parts of a batch whose weight gradients are summed apart: a fixed number, so that the order of additions does not
// depend on the threads.
inline constexpr int64_t kConvolutionParts = 16;

// The number of samples, or of parts of samples, for which an additional thread pays.
inline int64_t sample_grain(const ConvolutionGeometry& g, int64_t shares = 1) {
  return std::max<int64_t>(1, 300000 * shares / (g.filters * g.taps() * g.positions() + 1));
}

// Unfolding and products are for the types that sums are computed in.
template <class F>
void dispatch_working(Dtype type, F&& f) {
  if (type == Dtype::int64)
    f(TypeTag<int64_t>{});
  else
    dispatch_real(type, f);
}

// The values of Note [Convolution]'s three functions (values.cpp). Nothing is recorded.
Tensor convolution_values(const ConvolutionGeometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias);
// `bias` is defined only where input_gradient_takes_bias.
bool input_gradient_takes_bias(const ConvolutionGeometry& g, const Tensor& grad);
Tensor input_gradient_values(const ConvolutionGeometry& g, const Tensor& grad, const Tensor& weight,
                             const Tensor& bias);
Tensor weight_gradient_values(const ConvolutionGeometry& g, const Tensor& input, const Tensor& grad);

// The algorithms, for contiguous operands of one type that is computed in and geometries for which select_algorithm
// chooses them.
Tensor direct_forward(const ConvolutionGeometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias);
Tensor direct_weight_gradient(const ConvolutionGeometry& g, const Tensor& input, const Tensor& grad);
Tensor implicit_forward(const ConvolutionGeometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias);
Tensor product_forward(const ConvolutionGeometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias);
Tensor product_input_gradient(const ConvolutionGeometry& g, const Tensor& grad, const Tensor& weight);
Tensor product_weight_gradient(const ConvolutionGeometry& g, const Tensor& input, const Tensor& grad);
Tensor shifted_weight_gradient(const ConvolutionGeometry& g, const Tensor& input, const Tensor& grad);
Tensor unfolded_forward(const ConvolutionGeometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias);
Tensor unfolded_input_gradient(const ConvolutionGeometry& g, const Tensor& grad, const Tensor& weight);
Tensor unfolded_weight_gradient(const ConvolutionGeometry& g, const Tensor& input, const Tensor& grad);

// 1x1 convolutions of activations whose memory is contiguous in a channels-last format: Note [Channels last].
Tensor channels_last_forward(const ConvolutionGeometry& g, const Tensor& input, const Tensor& weight,
                             const Tensor& bias, MemoryFormat format);
Tensor channels_last_input_gradient(const ConvolutionGeometry& g, const Tensor& grad, const Tensor& weight,
                                    MemoryFormat format);
Tensor channels_last_weight_gradient(const ConvolutionGeometry& g, const Tensor& input, const Tensor& grad);

}  // namespace flambeau
