// Arguments of the kernels of CTC. Host and device code include this file.
#pragma once

#include <cstdint>

#include "device/threads/report.h"

namespace flambeau::cuda {

inline constexpr int kCtcThreads = 256;

struct CtcArguments {
  int64_t steps, batch, classes, blank, states;  // states: number of states of the longest target
  // Labels of all targets. For each sequence: the index of its first label, the number of its labels and of its steps.
  const int64_t *targets, *first, *labels, *times;
  const void* logs;    // (steps, batch, classes)
  void *alpha, *beta;  // (batch, steps, states)
  void* losses;        // (batch)
  const void* scale;   // factor of each loss
  void* grad;          // with the shape of logs
  // (batch, states, 2). For each label of a target: the index of the next equal label, or -1; and 1 if no earlier label
  // is equal, otherwise 0.
  int32_t* chains;
  bool zero_infinity;
  Reporter reporter;
};

}  // namespace flambeau::cuda
