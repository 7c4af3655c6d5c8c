// Arguments of the kernels of reductions. Host and device code include this file.
#pragma once

#include <cstdint>

namespace flambeau::cuda {

inline constexpr int kReduceThreads = 256, kJoinThreads = 128;
// The largest block that keeps a row in registers, and the number of packs of 16 bytes, of all inputs, that each thread
// keeps.
inline constexpr int kMaxHeldThreads = 1024, kHeldPacks = 8;

// Reduces contiguous (outer, length, inner) to (outer, inner), in `parts` parts of `part` elements along the length.
// With several parts, the states of the parts are stored as (outer, parts, inner).
struct ReduceArguments {
  const char* in[2];
  char* out[2];  // results; with several parts, out[0] contains states
  int64_t outer, length, inner, part;
  int parts;
  // lanes: number of adjacent threads along a row or across columns. slots: for columns, the number of rows that are
  // processed at the same time.
  int lanes, slots;
  int states;  // 1: the output is states, not results
  // Additional inputs of normalisations: weight and bias per element, and the mean and 1 / deviation of row or column
  // number i / divisor % modulus. They have the type of the computation, but with `stored_parameters`, weight and bias
  // have that of the elements.
  const char *weight, *bias, *statistics;
  int stored_parameters;
  int64_t divisor, modulus;
  double eps;
};

}  // namespace flambeau::cuda
