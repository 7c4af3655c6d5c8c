// What the kernels of recurrent networks are told; both sides include this.
#pragma once

#include <cstdint>

namespace flambeau::cuda {

// One time of some sequences, a row each: gates are rows of (gates, size), the rest rows of `size`. What a cell does
// not have is null.
struct CellArguments {
  int64_t rows, size;
  void* gates;             // what the input gives, and afterwards the activated gates
  const void *own, *bias;  // what the hidden state gives, like gates; added to its rows
  void *state, *hidden;    // of the time before, and afterwards of this time
  void *output, *states;   // copies of the hidden state and of the state
  void* kept;              // a copy of what the hidden state gives the last gate
};

// The derivative: rows of sequences that are at their first time have no time before, but where they begin.
struct CellGradientArguments {
  int64_t rows, size, continued;  // how many rows have a time before
  const void *gates, *kept, *output_grad;
  const void *previous_states, *first_states, *states, *previous_hidden, *first_hidden;
  void *grad, *state_grad;  // of the hidden state, through the gates of the time after it, and of the state
  void* rest;               // what reaches the hidden state other than through the gates
  void *gate_grads, *own_grads;
};

}  // namespace flambeau::cuda
