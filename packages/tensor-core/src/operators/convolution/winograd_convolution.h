// Winograd convolution of 3x3 kernels: Note [Winograd] in winograd_convolution.cpp.
#pragma once

#include "operators/convolution/convolution.h"

namespace flambeau {

// Returns true if Winograd's algorithm computes the forward convolution faster than the other algorithms.
bool winograd_is_faster(const ConvolutionGeometry& g);

// Returns the transformed and packed weights: Note [Packed matrices].
Tensor winograd_weights(const Tensor& weight);

// Computes the convolution with weights that winograd_weights() has returned, for contiguous tensors on the CPU.
Tensor winograd_forward(const ConvolutionGeometry& g, const Tensor& input, const Tensor& panels, const Tensor& bias,
                        const ConvolutionFinish& finish);

}  // namespace flambeau
