// Layers of recurrent networks over whole sequences (operators/layers/recurrent.cpp).
#pragma once

#include <vector>

#include "flambeau/operators.h"

namespace flambeau {

enum class Cell : uint8_t { Tanh, Relu, Lstm, Gru };

// weight_ih (gates * size, inputs), weight_hh (gates * size, outputs) and biases (gates * size), as in PyTorch. An LSTM
// can have a projection (outputs, size) of its hidden state. Weights that a layer does not have are undefined.
struct RecurrentWeights {
  Tensor weight_ih, weight_hh, bias_ih, bias_hh, projection;
};

struct RecurrentOutput {
  Tensor output;         // (rows, outputs), for all time steps
  Tensor hidden, state;  // at the end of each sequence: (N, outputs) and, for an LSTM, (N, size)
};

// One layer in one direction. input: the rows of all time steps, one step after the other. Step t has sizes[t] rows,
// and `sizes` does not increase. Row r of each step belongs to sequence r. hidden (N, outputs), state (N, size):
// initial states. Raises RuntimeError if shapes do not match. Gradient: with respect to every tensor, any order.
FLAMBEAU_API RecurrentOutput recurrent_layer(Cell cell, const Tensor& input, const Tensor& hidden, const Tensor& state,
                                             const RecurrentWeights& weights, const std::vector<int64_t>& sizes,
                                             bool backwards);

}  // namespace flambeau
