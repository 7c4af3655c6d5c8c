// The loop over time steps of a recurrent layer on a GPU, and its derivative. Note [Recurrence] in
// operators/layers/recurrent.cpp.
#pragma once

#include "tasks/recurrent.h"

namespace flambeau::cuda {

// weight: the weight of the hidden state, (gates * size, outputs). bias: if it is defined, it is added to the
// contribution of the hidden state.
void recurrent_forward(Cell cell, const RecurrentWalk& w, const Tensor& weight, const Tensor& bias,
                       const Tensor& projection, const RecurrentBuffers& b);
// saved: the contiguous tensors in the order of RecurrentSaved. output_grad may be undefined.
void recurrent_backward(Cell cell, const RecurrentWalk& w, const Tensor* saved, const Tensor& output_grad,
                        const RecurrentGradients& g);

}  // namespace flambeau::cuda
