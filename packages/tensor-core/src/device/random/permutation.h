// Note [Permutations]
// Fisher's and Yates's steps i = n - 1, ..., 0 exchange element i with the one at a place j(i) <= i, each in what the
// one before has left; here all are traced at once. What is at a place p before step i was brought there by the last
// step before it that exchanged with p, which is the least s > i with j(s) = p; and that had been at the place s before
// step s. So result i is followed upwards from the step after i that shares its place, until a place that none has
// changed. Of some place p the next one is beyond (p + 1) / u for a uniform u: there are about log(n / p) on the way.
//
// A module invokes FLAMBEAU_PERMUTATION. Its kernels have a thread to a step, the steps sorted by place, and
// among one place by themselves:
//
//   bring    for every place the first step beyond it that exchanges with it; 0 is none, since step 0 changes nothing
//   follow   the results
#pragma once

#include "device/random/permutation_arguments.h"
#include "device/threads/kernel.h"

namespace flambeau::cuda {

struct Permutation {
  const PermutationArguments& a;
  const int64_t at;

  explicit Permutation(const PermutationArguments& a) : a(a), at(int64_t(blockIdx.x) * blockDim.x + threadIdx.x) {}
  // The step after this one that exchanges with the same place, or 0.
  uint32_t next() const { return at + 1 < a.count && a.places[at + 1] == a.places[at] ? a.steps[at + 1] : 0; }

  void bring() const {
    if (at >= a.count) return;
    const uint32_t place = a.places[at], step = a.steps[at];
    if (at == 0 || a.places[at - 1] != place) a.brought[place] = step == place ? next() : step;
  }
  void follow() const {
    if (at >= a.count) return;
    uint32_t from = next();
    if (from == 0) {
      a.out[a.steps[at]] = a.places[at];
      return;
    }
    while (const uint32_t before = a.brought[from]) from = before;
    a.out[a.steps[at]] = from;
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_PERMUTATION                                                                               \
  FLAMBEAU_KERNEL(bring, flambeau::cuda::PermutationArguments) { flambeau::cuda::Permutation(a).bring(); } \
  FLAMBEAU_KERNEL(follow, flambeau::cuda::PermutationArguments) { flambeau::cuda::Permutation(a).follow(); }
