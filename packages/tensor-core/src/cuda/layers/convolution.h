// The forward pass and the gradients of convolutions on a GPU. tasks/convolution.h describes the geometry. A result
// that cuDNN computes is channels-last if the image or the output is channels-last.
#pragma once

#include "tasks/convolution.h"

namespace flambeau::cuda {

// Returns true if all sizes fit the kernels' 31-bit integers.
bool convolves(const ConvolutionGeometry& g);
Tensor convolution_forward(const ConvolutionGeometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias);
// If `bias` is defined, it is added to the channels of the result, as in transposed convolutions.
Tensor convolution_input_gradient(const ConvolutionGeometry& g, const Tensor& grad, const Tensor& weight,
                                  const Tensor& bias);
Tensor convolution_weight_gradient(const ConvolutionGeometry& g, const Tensor& input, const Tensor& grad);

// unfold() writes the windows of all channels as columns; there is only one group. fold() adds each column to the
// pixels of its window.
void unfold(const ConvolutionGeometry& g, const Tensor& out, const Tensor& image);
void fold(const ConvolutionGeometry& g, const Tensor& out, const Tensor& columns);

}  // namespace flambeau::cuda
