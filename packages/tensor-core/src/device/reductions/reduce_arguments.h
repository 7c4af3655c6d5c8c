// Arguments of the kernels of reductions. Host and device code include this file.
#pragma once

#include <cstdint>

namespace flambeau::cuda {

inline constexpr int kReduceThreads = 256, kJoinThreads = 128;

// (outer, length, inner), contiguous, to (outer, inner); in `parts` parts of `part` places along the length, whose
// states then lie as (outer, parts, inner).
struct ReduceArguments {
  const char* in[2];
  char* out[2];  // results; with several parts, out[0] contains states
  int64_t outer, length, inner, part;
  int parts;
  int lanes, slots;  // threads side by side along a row, or along the columns; rows of columns at a time
  int states;        // 1: what comes out are states
  // Additional inputs of normalisations, in the type of the computation: weight and bias per element, and the mean and
  // 1 / deviation of row or column number i / divisor % modulus.
  const char *weight, *bias, *statistics;
  int64_t divisor, modulus;
  double eps;
};

}  // namespace flambeau::cuda
