// Connectionist temporal classification on a GPU; the tensors are those of CtcArguments, contiguous.
#pragma once

#include "flambeau/cuda.h"

namespace flambeau::cuda {

struct CtcTensors {
  int64_t blank, states;
  // lengths: (3, batch): the begin of each target, its number of labels, its number of steps
  Tensor logs, targets, lengths;
  Tensor alpha, losses, chains;  // results of ctc_forward
};
void ctc_forward(CtcTensors& c);
Tensor ctc_backward(const CtcTensors& c, const Tensor& scale, bool zero_infinity);

}  // namespace flambeau::cuda
