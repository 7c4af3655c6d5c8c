// Connectionist temporal classification on a GPU. The contiguous tensors are those of CtcArguments.
#pragma once

#include "flambeau/cuda.h"

namespace flambeau::cuda {

struct CtcTensors {
  int64_t blank, states;
  // lengths: (3, batch): position of the first label, number of labels and number of steps of each sample
  Tensor logs, targets, lengths;
  Tensor alpha, losses, chains;  // results of ctc_forward
};
void ctc_forward(CtcTensors& c);
Tensor ctc_backward(const CtcTensors& c, const Tensor& scale, bool zero_infinity);

}  // namespace flambeau::cuda
