// Convolutions by cuDNN, which is opened at run time where it is installed.
#pragma once

#include "cuda/layers/convolution.h"
#include "flambeau/memory_format.h"

namespace flambeau::cuda {

// The tensors of a convolution, of one floating dtype, all contiguous in one format: its image, weight and output, or
// their gradients. A function writes the one that the others give.
struct ConvolutionTensors {
  const Tensor &image, &weight, &output;
  MemoryFormat format = MemoryFormat::Contiguous;
};

// Returns true if the library is installed and enabled and supports the dtype and the sizes.
bool library_convolves(const ConvolutionGeometry& g, Dtype dtype);
// False, with nothing that counts written, where it does not do this one. `added`: to what the result holds.
bool library_convolution(ConvolutionFunction function, const ConvolutionGeometry& g, const ConvolutionTensors& tensors,
                         bool added = false);

}  // namespace flambeau::cuda
