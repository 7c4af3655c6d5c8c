// Sizes of a recurrent layer's loop over time, and the tensors that its derivative reads and computes.
#pragma once

#include <algorithm>
#include <vector>

#include "flambeau/tensor.h"

namespace flambeau {

enum class Cell : uint8_t;  // flambeau/operators/recurrent.h

struct RecurrentWalk {
  std::vector<int64_t> sizes, offsets;  // sizes: number of rows at each time step; offsets: index of its first row
  bool backwards;
  int64_t gates, size, outputs, batch;  // size: of a gate's vector; outputs: of the hidden state
  bool separate;

  int64_t times() const { return int64_t(sizes.size()); }
  int64_t rows() const { return times() ? offsets.back() + sizes.back() : 0; }
  int64_t time(int64_t step) const { return backwards ? times() - 1 - step : step; }
  // Returns the number of sequences at time step t that have a preceding step in the loop. These sequences come first.
  int64_t continued(int64_t t) const {
    const int64_t before = backwards ? t + 1 : t - 1;
    return before >= 0 && before < times() ? std::min(sizes[size_t(before)], sizes[size_t(t)]) : 0;
  }
  // Returns the row of sequence r at the preceding time step, or -1 if its loop begins at t.
  int64_t previous_row(int64_t t, int64_t r) const {
    return r < continued(t) ? offsets[size_t(backwards ? t + 1 : t - 1)] + r : -1;
  }
};

// Dtype of cells, and of states and gradients between time steps: at least float32, even for half-precision layers.
inline Dtype cell_dtype(Dtype layer) { return layer == Dtype::float64 ? layer : Dtype::float32; }

struct RecurrentBuffers {  // RecurrentSaved describes some of the tensors
  Tensor gates, states, own, shown, output, hidden, state;
};

// gates: gradients of the input's part of the gates. own: gradients of the hidden state's part of the gates, if they
// differ. hidden and state: initially the gradients of the last states, finally the gradients of the initial states.
// outputs: with a projection, the gradients of its result.
struct RecurrentGradients {
  Tensor gates, own, outputs, hidden, state;
};

// Indices of the tensors that a recording saves for the derivative.
enum RecurrentSaved {
  kInput,
  kHidden,
  kState,
  kWeightIh,
  kWeightHh,
  kBiasIh,
  kBiasHh,
  kProjection,
  kOutput,
  kGates,   // activated gates, (rows, gates * size)
  kStates,  // states of all time steps, (rows, size), in the dtype of the cells
  kOwn,     // the hidden state's part of the last gate, (rows, size), if `separate`
  kShown,   // the hidden state before its projection, (rows, size)
};

}  // namespace flambeau
