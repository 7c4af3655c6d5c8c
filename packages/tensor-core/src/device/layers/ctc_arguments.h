// Arguments of the kernels of CTC. Host and device code include this file.
#pragma once

#include <cstdint>

#include "device/threads/report.h"

namespace flambeau::cuda {

inline constexpr int kCtcThreads = 256;

struct CtcArguments {
  int64_t steps, batch, classes, blank, states;  // states: of the longest target
  const int64_t *targets, *first, *labels, *times;
  const void* logs;    // (steps, batch, classes)
  void *alpha, *beta;  // (batch, steps, states)
  void* losses;        // (batch)
  const void* scale;   // of each loss
  void* grad;          // like logs
  int32_t* chains;     // (batch, states, 2): of each label the next equal one or -1, and whether it is the first
  bool zero_infinity;
  Reporter reporter;
};

}  // namespace flambeau::cuda
