// Note [Paired convolutions] in paired_convolution.cpp. Internal to the family and to programs.
#pragma once

#include "operators/convolution/convolution.h"

namespace flambeau {

struct FirstOfPair {
  const ConvolutionGeometry& geometry;
  const Tensor &input, &weight;
  const void* panels;  // the weights, packed as rows: Note [Packed matrices]
  const Tensor& bias;  // may be undefined
  const Epilogue& epilogue;
};

struct SecondOfPair {
  const ConvolutionGeometry& geometry;
  const Tensor &weight, &bias;  // the bias may be undefined
  const Epilogue& epilogue;
};

// Returns true if the result of a convolution is too large for a core's cache, so that a pair may pay.
bool is_large(const ConvolutionGeometry& first, Dtype dtype);

// Returns true if the second convolution can be computed together with the first one, whose result it reads.
bool can_pair(const ConvolutionGeometry& first, const ConvolutionGeometry& second, Dtype dtype);

// Computes both convolutions with their epilogues, for contiguous float32 or float64 tensors on the CPU. The epilogue
// of the first one must not read tensors; the result of the second one's is `out`.
void paired_convolution(const FirstOfPair& first, const SecondOfPair& second, const Tensor& out);

}  // namespace flambeau
