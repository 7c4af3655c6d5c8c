// Arguments of the kernels of recurrent networks. Host and device code include this file.
#pragma once

#include <cstdint>

namespace flambeau::cuda {

// One time step of some sequences, with one row for each sequence. A row has `size` elements, or in `gates`, `own`,
// `bias` and their gradients `size` elements for each gate. Pointers that a cell does not use are null. Arrays marked
// as wide have the type of the computation; the others have the dtype of the layer.
struct CellArguments {
  int64_t rows, size;
  void* gates;  // contributions of the input, which the activated gates overwrite
  // own: contributions of the hidden state to the gates (wide). bias: a single row, added to each row of `own`.
  const void *own, *bias;
  void *state, *memory;   // wide: cell and hidden state of the previous step, which the states of this step overwrite
  void *hidden, *output;  // two copies of the hidden state
  void* states;           // a copy of the cell state, wide
  void* kept;             // a copy of the hidden state's contribution to the last gate
};

// The derivative of one time step. The rows from `continued` on are at the first step of their sequence, and read its
// initial cell and hidden state (first_states, first_hidden).
struct CellGradientArguments {
  int64_t rows, size, continued;  // continued: number of rows that have a previous step
  const void *gates, *kept, *output_grad;
  const void *previous_states, *states;  // wide
  const void *first_states, *previous_hidden, *first_hidden;
  // Wide gradients. grad: gradient of the hidden state, through the gates of the next step. state_grad: gradient of the
  // cell state.
  void *grad, *state_grad;
  void* rest;  // wide: gradient of the hidden state that does not pass through the gates
  void *gate_grads, *own_grads;
};

}  // namespace flambeau::cuda
