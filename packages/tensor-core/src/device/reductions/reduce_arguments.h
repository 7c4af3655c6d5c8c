// What the reductions' kernels are told; both sides include this.
#pragma once

#include <cstdint>

namespace flambeau::cuda {

inline constexpr int kReduceThreads = 256, kJoinThreads = 128;

// (outer, length, inner), contiguous, to (outer, inner); in `parts` parts of `part` places along the length, whose
// states then lie as (outer, parts, inner).
struct ReduceArguments {
  const char* in[2];
  char* out[2];  // of results; out[0]: of states where there are several parts
  int64_t outer, length, inner, part;
  int parts;
  int lanes, slots;  // threads side by side along a row, or along the columns; rows of columns at a time
  int states;        // 1: what comes out are states
  // What normalisations read beside it, in the type they compute in: for each place, or of row or column number
  // i / divisor % modulus the mean and 1 / deviation.
  const char *weight, *bias, *statistics;
  int64_t divisor, modulus;
  double eps;
};

}  // namespace flambeau::cuda
