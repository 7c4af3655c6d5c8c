// Connectionist temporal classification on a GPU. CtcArguments describes the contiguous tensors.
#pragma once

#include "flambeau/cuda.h"

namespace flambeau::cuda {

struct CtcTensors {
  int64_t blank, states;
  // lengths: (3, batch). For each sample: the position of the first label, the number of labels and the number of
  // steps.
  Tensor logs, targets, lengths;
  Tensor alpha, losses, chains;  // results of ctc_forward
};
void ctc_forward(CtcTensors& c);
Tensor ctc_backward(const CtcTensors& c, const Tensor& scale, bool zero_infinity);

}  // namespace flambeau::cuda
