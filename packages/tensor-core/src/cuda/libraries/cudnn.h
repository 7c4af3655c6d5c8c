// Convolutions by cuDNN, which is loaded at run time if it is installed.
#pragma once

#include "cuda/layers/convolution.h"
#include "flambeau/memory_format.h"

namespace flambeau::cuda {

// Tensors of a convolution: image, weight and output, or their gradients. All have one floating dtype and are
// contiguous in one format. A function computes one of them from the other two.
struct ConvolutionTensors {
  const Tensor &image, &weight, &output;
  MemoryFormat format = MemoryFormat::Contiguous;
};

// Returns true if the library is installed and enabled and supports the dtype and the sizes.
bool library_convolves(const ConvolutionGeometry& g, Dtype dtype);
// Returns false if the library does not support this convolution; the contents of the result are then undefined.
// `added`: adds to the result's contents.
bool library_convolution(ConvolutionFunction function, const ConvolutionGeometry& g, const ConvolutionTensors& tensors,
                         bool added = false);

}  // namespace flambeau::cuda
