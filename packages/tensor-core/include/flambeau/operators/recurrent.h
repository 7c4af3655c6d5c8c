// Layers of recurrent networks over whole sequences (operators/layers/recurrent.cpp).
#pragma once

#include <vector>

#include "flambeau/operators.h"

namespace flambeau {

enum class Cell : uint8_t { Tanh, Relu, Lstm, Gru };

// weight_ih (gates * size, inputs), weight_hh (gates * size, outputs) and biases (gates * size), as PyTorch has them;
// an LSTM can have a projection (outputs, size) of its hidden state. Weights that a layer does not have are undefined.
struct RecurrentWeights {
  Tensor weight_ih, weight_hh, bias_ih, bias_hh, projection;
};

struct RecurrentOutput {
  Tensor output;         // (rows, outputs), of all times
  Tensor hidden, state;  // of each sequence at its end: (N, outputs) and, of an LSTM, (N, size)
};

// One layer in one direction. input: the rows of all times, one time after the other, of which sizes[t] says how many
// there are at time t; never more than before, and sequence r is row r of its times. hidden (N, outputs), state
// (N, size): where the walk begins. RuntimeError where shapes do not fit. Gradient: every tensor, any order.
FLAMBEAU_API RecurrentOutput recurrent_layer(Cell cell, const Tensor& input, const Tensor& hidden, const Tensor& state,
                                             const RecurrentWeights& weights, const std::vector<int64_t>& sizes,
                                             bool backwards);

}  // namespace flambeau
