// Forward pass and gradients of convolutions on a GPU; tasks/convolution.h describes the geometry. With cuDNN, results
// are channels-last if an image is.
#pragma once

#include "tasks/convolution.h"

namespace flambeau::cuda {

bool convolves(const ConvolutionGeometry& g);  // returns true if all sizes fit the kernels' 31-bit integers
Tensor convolution_forward(const ConvolutionGeometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias);
// A defined `bias` is added to the channels of the result, for transposed convolutions.
Tensor convolution_input_gradient(const ConvolutionGeometry& g, const Tensor& grad, const Tensor& weight,
                                  const Tensor& bias);
Tensor convolution_weight_gradient(const ConvolutionGeometry& g, const Tensor& input, const Tensor& grad);

// unfold() writes the windows of all channels (one group) as columns. fold() adds columns up to an image.
void unfold(const ConvolutionGeometry& g, const Tensor& out, const Tensor& image);
void fold(const ConvolutionGeometry& g, const Tensor& out, const Tensor& columns);

}  // namespace flambeau::cuda
