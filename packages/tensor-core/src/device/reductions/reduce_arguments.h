// Arguments of the kernels of reductions. Host and device code include this file.
#pragma once

#include <cstdint>

namespace flambeau::cuda {

inline constexpr int kReduceThreads = 256, kJoinThreads = 128;
// The largest block that keeps a row in registers, and the number of packs of 16 bytes that each thread keeps, for all
// inputs together.
inline constexpr int kMaxHeldThreads = 1024, kHeldPacks = 8;

// Reduces a contiguous tensor (outer, length, inner) to (outer, inner), in `parts` parts of `part` elements along
// `length`. With several parts, the states of the parts are stored as (outer, parts, inner).
struct ReduceArguments {
  const char* in[2];
  char* out[2];  // results; with several parts, out[0] contains states
  int64_t outer, length, inner, part;
  int parts;
  // lanes: number of adjacent threads along a row or across columns. slots: for columns, the number of rows that are
  // processed at the same time.
  int lanes, slots;
  int states;  // 1: the output consists of states, not of results
  // Additional inputs of normalisations: a weight and a bias for each element, and the mean and the reciprocal standard
  // deviation with the index i / divisor % modulus for row or column i. They have the type of the computation, except
  // that with `stored_parameters` weight and bias have the type of the elements.
  const char *weight, *bias, *statistics;
  int stored_parameters;
  int64_t divisor, modulus;
  double eps;
};

}  // namespace flambeau::cuda
