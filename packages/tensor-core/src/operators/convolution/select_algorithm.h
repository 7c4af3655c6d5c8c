// Choice of the algorithm for a convolution on the CPU.
#pragma once

#include "tasks/convolution.h"

namespace flambeau {

enum class ConvolutionAlgorithm : uint8_t {
  Product,    // the kernel covers the whole image, so one matrix product computes the result (product_convolution.cpp)
  Depthwise,  // a forward convolution: Note [Depthwise convolution] in kernels/layers/depthwise_convolution.cpp
  Direct,     // Note [Direct convolution] in kernels/layers/direct_convolution.cpp
  Implicit,   // a forward convolution: Note [Implicit unfolding] in implicit_convolution.cpp
  Shifted,    // a weight gradient: Note [Shifted products] in kernels/layers/shifted_products.cpp
  Flipped,    // an input gradient, as a forward convolution with flipped weights
  Unfolded,   // Note [Unfolding] in unfolded_convolution.cpp
};

// `type`: the dtype in which the algorithm computes. Only Product and Unfolded support integers.
ConvolutionAlgorithm select_algorithm(ConvolutionFunction function, const ConvolutionGeometry& g, Dtype type);

}  // namespace flambeau
