// Two consecutive convolutions as one loop: Note [Paired convolutions] in paired_convolution.cpp.
#pragma once

#include "operators/convolution/convolution.h"

namespace flambeau {

struct FirstOfPair {
  const ConvolutionGeometry& geometry;
  const Tensor &input, &weight;
  const void* panels;  // the weights, packed as the left matrix: Note [Packed matrices]
  const Tensor& bias;  // may be undefined
  const Epilogue& epilogue;
};

struct SecondOfPair {
  const ConvolutionGeometry& geometry;
  const Tensor &weight, &bias;  // the bias may be undefined
  const Epilogue& epilogue;
};

// Returns true if the result of the first convolution is so large that it does not fit in a core's cache, so that a
// pair may be faster.
bool is_large(const ConvolutionGeometry& first, Dtype dtype);

// Returns true if the second convolution can be computed together with the first one, whose result it reads.
bool can_pair(const ConvolutionGeometry& first, const ConvolutionGeometry& second, Dtype dtype);

// Computes both convolutions with their epilogues, for contiguous float32 or float64 tensors on the CPU. The epilogue
// of the first convolution must not read tensors. The result of the second epilogue must be `out`.
void paired_convolution(const FirstOfPair& first, const SecondOfPair& second, const Tensor& out);

}  // namespace flambeau
