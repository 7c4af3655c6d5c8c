// The walk through time that a recurrent layer and its derivatives share. Internal to the recurrent family.
#pragma once

#include <algorithm>

#include "flambeau/recurrent.h"

namespace flambeau {

struct RecurrentWalk {
  std::vector<int64_t> sizes, offsets;  // rows at each time, and where they begin
  bool backwards;
  int64_t gates, size, outputs, batch;  // size: of a gate; outputs: of the hidden state
  bool separate;

  int64_t times() const { return int64_t(sizes.size()); }
  int64_t rows() const { return times() ? offsets.back() + sizes.back() : 0; }
  int64_t time(int64_t step) const { return backwards ? times() - 1 - step : step; }
  // The row of sequence r at the time before t, or -1 where its walk begins at t.
  int64_t previous_row(int64_t t, int64_t r) const {
    const int64_t before = backwards ? t + 1 : t - 1;
    return before >= 0 && before < times() && r < sizes[size_t(before)] ? offsets[size_t(before)] + r : -1;
  }
};

// What the derivative reads, in this order: what a recording saves.
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
  kStates,  // of all times, (rows, size)
  kOwn,     // what the hidden state gave the last gate, (rows, size), where `separate`
  kShown,   // the hidden state before its projection, (rows, size)
};

// The derivative in differentiable operators (operators/recurrent_derivative.cpp).
void differentiable_recurrent_backward(Cell cell, const RecurrentWalk& walk, const Context& context);

}  // namespace flambeau
