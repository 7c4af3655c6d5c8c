// Note [Permutations]
// The steps i = n - 1, ..., 0 of a Fisher-Yates shuffle exchange element i with the element at position j(i) <= i. The
// steps are sequential, but here all of them are traced in parallel. The element at position p before step i was moved
// there by the last earlier step that exchanged with p. This step is the smallest s > i with j(s) = p. Before step s,
// the element was at position s. So result i, the element at position j(i) before step i, is traced back to larger and
// larger positions: first to the smallest s > i with j(s) = j(i), then from each position p to the smallest s > p with
// j(s) = p, until no such step exists. The position after p is larger than (p + 1) / u for a uniform random u, so that
// a trace has about log(n / p) positions.
//
// A module invokes FLAMBEAU_PERMUTATION. Its kernels use one thread per step. The steps are sorted by position, and
// equal positions by step:
//
//   find_moves    finds for each position p the smallest step s > p with j(s) = p, or 0 if no such step exists
//   trace_moves   computes the results
#pragma once

#include "device/random/permutation_arguments.h"
#include "device/threads/kernel.h"

namespace flambeau::cuda {

struct Permutation {
  const PermutationArguments& a;
  const int64_t at;

  explicit Permutation(const PermutationArguments& a) : a(a), at(int64_t(blockIdx.x) * blockDim.x + threadIdx.x) {}
  // Returns the next larger step that exchanges with the same position, or 0 if it does not exist.
  uint32_t next() const { return at + 1 < a.count && a.partners[at + 1] == a.partners[at] ? a.steps[at + 1] : 0; }

  void find_moves() const {
    if (at >= a.count) return;
    const uint32_t partner = a.partners[at], step = a.steps[at];
    if (at == 0 || a.partners[at - 1] != partner) a.moving_step[partner] = step == partner ? next() : step;
  }
  void trace_moves() const {
    if (at >= a.count) return;
    uint32_t from = next();
    if (from == 0) {
      a.out[a.steps[at]] = a.partners[at];
      return;
    }
    while (const uint32_t before = a.moving_step[from]) from = before;
    a.out[a.steps[at]] = from;
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_PERMUTATION                                                                                         \
  FLAMBEAU_KERNEL(find_moves, flambeau::cuda::PermutationArguments) { flambeau::cuda::Permutation(a).find_moves(); } \
  FLAMBEAU_KERNEL(trace_moves, flambeau::cuda::PermutationArguments) { flambeau::cuda::Permutation(a).trace_moves(); }
