// Connectionist temporal classification on a GPU; the tensors are those of CtcArguments, contiguous.
#pragma once

#include "flambeau/cuda.h"

namespace flambeau::cuda {

struct CtcTensors {
  int64_t blank, states;
  Tensor logs, targets, lengths;  // lengths: (3, batch), where each target begins, its labels, its steps
  Tensor alpha, losses, chains;   // made by ctc_forward
};
void ctc_forward(CtcTensors& c);
Tensor ctc_backward(const CtcTensors& c, const Tensor& scale, bool zero_infinity);

}  // namespace flambeau::cuda
