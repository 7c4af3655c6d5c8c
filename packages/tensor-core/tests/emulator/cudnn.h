// Declarations shared by the source files of the emulated cuDNN.
#pragma once

#include <array>

#include "elements.h"

namespace emulated {

enum CudnnStatus { kFine = 0, kWrongParameter = 2000, kUnsupported = 3000 };
extern Stream* cudnn_stream;  // the stream of the library's handle

// A convolution of a graph, or one of its gradients. Spatial dimensions that it does not have are of size 1.
struct CudnnConvolution {
  struct Operand {
    Element element;
    std::array<int64_t, 5> size, stride;
    void* data = nullptr;
  };
  int result;  // index of the operand to compute: image, weight, output
  std::array<Operand, 3> operands;
  std::array<int64_t, 3> padding, stride, dilation;
  Element sums;  // type of the sums and factors
  double alpha, beta;

  bool fits() const;          // returns true if the library supports it
  void run(bool tf32) const;  // tf32: rounds float32 operands to TF32
};

}  // namespace emulated
