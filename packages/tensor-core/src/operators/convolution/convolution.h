// What the ways of computing a convolution share: Note [Convolution] in convolution.cpp. Internal to the family.
#pragma once

#include "core/working_memory.h"
#include "flambeau/networks.h"
#include "tasks/convolution.h"

namespace flambeau {

// Parts of a batch whose weight gradients are summed apart: a fixed number, so that the order of additions does not
// depend on the threads.
inline constexpr int64_t kConvolutionParts = 16;

// Samples, or shares of them, worth a thread of their own.
inline int64_t sample_grain(const ConvolutionGeometry& g, int64_t shares = 1) {
  return std::max<int64_t>(1, 300000 * shares / (g.filters * g.taps() * g.positions() + 1));
}

// The values of Note [Convolution]'s three functions, by whichever way is quicker (unfolded_convolution.cpp).
Tensor convolution_values(const ConvolutionGeometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias);
// `bias` is defined only where input_gradient_takes_bias.
bool input_gradient_takes_bias(const ConvolutionGeometry& g, const Tensor& grad);
Tensor input_gradient_values(const ConvolutionGeometry& g, const Tensor& grad, const Tensor& weight,
                             const Tensor& bias);
Tensor weight_gradient_values(const ConvolutionGeometry& g, const Tensor& input, const Tensor& grad);

// For contiguous float32 or float64 operands and geometries with direct(). Nothing is recorded.
Tensor direct_forward(const ConvolutionGeometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias);
Tensor direct_weight_gradient(const ConvolutionGeometry& g, const Tensor& input, const Tensor& grad);

// For contiguous float32 or float64 operands and geometries with shifted(). Nothing is recorded.
Tensor shifted_weight_gradient(const ConvolutionGeometry& g, const Tensor& input, const Tensor& grad);

// For contiguous float32 or float64 operands and geometries with implicit(). Nothing is recorded.
Tensor implicit_forward(const ConvolutionGeometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias);

}  // namespace flambeau
