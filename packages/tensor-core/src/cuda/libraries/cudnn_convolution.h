// Convolutions by cuDNN, which is loaded at run time if it is installed.
#pragma once

#include "cuda/layers/convolution.h"
#include "flambeau/memory_format.h"

namespace flambeau::cuda {

// The tensors of a convolution: image, weight and output, or their gradients. One of them is computed from the other
// two. All tensors have the same floating dtype and are contiguous in the same format.
struct ConvolutionTensors {
  const Tensor &image, &weight, &output;
  MemoryFormat format = MemoryFormat::Contiguous;
};

// Returns true if the library is installed and enabled and supports the dtype and the sizes.
bool library_convolves(const ConvolutionGeometry& g, Dtype dtype);
// Computes a convolution, and adds it to the contents of the result if `added` is set. Returns false if the library
// does not support the convolution; the contents of the result are then undefined.
bool library_convolution(ConvolutionFunction function, const ConvolutionGeometry& g, const ConvolutionTensors& tensors,
                         bool added = false);

}  // namespace flambeau::cuda
