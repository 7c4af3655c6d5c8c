// Arguments of the kernels of recurrent networks. Host and device code include this file.
#pragma once

#include <cstdint>

namespace flambeau::cuda {

// One time step of some sequences, one row each: gates are rows of (gates, size), all others rows of `size`. Pointers
// that a cell does not use are null. Types are those of the layer or, where marked as wide, those of the computation.
struct CellArguments {
  int64_t rows, size;
  void* gates;             // what the input gives, and afterwards the activated gates
  const void *own, *bias;  // what the hidden state gives, like gates, wide; added to its rows
  void *state, *memory;    // wide: of the time before, and afterwards of this time; memory is the hidden state
  void *hidden, *output;   // the hidden state
  void* states;            // a copy of the state, wide
  void* kept;              // a copy of what the hidden state gives the last gate
};

// The derivative: rows of sequences that are at their first time have no time before, but where they begin.
struct CellGradientArguments {
  int64_t rows, size, continued;  // how many rows have a time before
  const void *gates, *kept, *output_grad;
  const void *previous_states, *states;  // wide
  const void *first_states, *previous_hidden, *first_hidden;
  void *grad, *state_grad;  // wide: of the hidden state, through the gates of the time after it, and of the state
  void* rest;               // wide: what reaches the hidden state other than through the gates
  void *gate_grads, *own_grads;
};

}  // namespace flambeau::cuda
