// The walk of a recurrent layer through time, and what its derivative reads and gives.
#pragma once

#include <algorithm>
#include <vector>

#include "flambeau/tensor.h"

namespace flambeau {

enum class Cell : uint8_t;  // flambeau/operators/recurrent.h

struct RecurrentWalk {
  std::vector<int64_t> sizes, offsets;  // rows at each time, and where they begin
  bool backwards;
  int64_t gates, size, outputs, batch;  // size: of a gate; outputs: of the hidden state
  bool separate;

  int64_t times() const { return int64_t(sizes.size()); }
  int64_t rows() const { return times() ? offsets.back() + sizes.back() : 0; }
  int64_t time(int64_t step) const { return backwards ? times() - 1 - step : step; }
  // How many of the sequences at time t have a time before it in the walk: the first ones.
  int64_t continued(int64_t t) const {
    const int64_t before = backwards ? t + 1 : t - 1;
    return before >= 0 && before < times() ? std::min(sizes[size_t(before)], sizes[size_t(t)]) : 0;
  }
  // The row of sequence r at the time before t, or -1 where its walk begins at t.
  int64_t previous_row(int64_t t, int64_t r) const {
    return r < continued(t) ? offsets[size_t(backwards ? t + 1 : t - 1)] + r : -1;
  }
};

// The dtype of cells and of the states and gradients between time steps: at least float32, for layers of halves too.
inline Dtype cell_dtype(Dtype layer) { return layer == Dtype::float64 ? layer : Dtype::float32; }

struct RecurrentBuffers {  // see RecurrentSaved
  Tensor gates, states, own, shown, output, hidden, state;
};

// gates: with those of what the hidden state gives in `own` where they differ. hidden and state: the gradients of the
// last ones at first, of the initial ones in the end. outputs: with a projection, what reached its result.
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
  kGates,   // activated, (rows, gates * size)
  kStates,  // of all times, (rows, size), as they are computed
  kOwn,     // what the hidden state gave the last gate, (rows, size), where `separate`
  kShown,   // the hidden state before its projection, (rows, size)
};

}  // namespace flambeau
