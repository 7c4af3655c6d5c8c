// A convolution's three functions on a GPU: tasks/convolution.h has their geometry. Where cuDNN is
// installed and an image has its channels last, so have results.
#pragma once

#include "tasks/convolution.h"

namespace flambeau::cuda {

bool convolves(const ConvolutionGeometry& g);  // whether the kernels' numbers are large enough for it
Tensor convolution_forward(const ConvolutionGeometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias);
// `bias`, where it is defined, is added to the channels of the gradient: a transposed convolution.
Tensor convolution_input_gradient(const ConvolutionGeometry& g, const Tensor& grad, const Tensor& weight,
                                  const Tensor& bias);
Tensor convolution_weight_gradient(const ConvolutionGeometry& g, const Tensor& input, const Tensor& grad);

// Windows of all channels (one group) as columns, and what columns add up to.
void unfold(const ConvolutionGeometry& g, const Tensor& out, const Tensor& image);
void fold(const ConvolutionGeometry& g, const Tensor& out, const Tensor& columns);

}  // namespace flambeau::cuda
