// Samples of distributions that consume an unknown number of random numbers. The samples are equal to those of the CPU
// up to rounding errors of functions. A module invokes FLAMBEAU_SAMPLE(kind), with a kind from
// flambeau/kernels/samplers.h, FLAMBEAU_GAMMA_SLOPES, FLAMBEAU_BETA_SLOPES or FLAMBEAU_WEIGHTS.
#pragma once

#include "device/random/random_arguments.h"
#include "device/threads/kernel.h"
#include "device/threads/teams.h"
#include "flambeau/kernels/beta_slopes.h"
#include "flambeau/kernels/gamma_slopes.h"
#include "flambeau/kernels/samplers.h"

namespace flambeau::cuda {

template <class Kind>
void sample(const SampleArguments& a) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= a.count) return;
  const Position from = resolved(a.position);
  if constexpr (Kind::kKind == kernels::Sampler::Poisson)
    if (!kernels::is_rate(a.first[i])) {
      report(a.reporter, Fault::Rate, 0, 0, a.first[i]);
      a.out[i] = NAN;
      return;
    }
  kernels::ElementStream stream(from.seed, from.offset, uint64_t(i));
  const double value = Kind::one(stream, a.first[i], a.second ? a.second[i] : 0.0);
  a.out[i] = value < a.least ? a.least : value;
}

// Checks that the weights of a row define a distribution. One block checks one row.
struct Weights {
  struct State {
    // The positions of the first invalid weight and of the first positive weight, or `categories` if no such weight
    // exists.
    int64_t wrong, positive;
  };
  static State join(State x, State y) { return {min(x.wrong, y.wrong), min(x.positive, y.positive)}; }

  static void check(const WeightArguments& a) {
    const int64_t row = blockIdx.x;
    const double* weights = a.weights + row * a.categories;
    State state{a.categories, a.categories};
    for (int64_t i = threadIdx.x; i < a.categories; i += kTeam)
      state = join(state, {kernels::is_weight(weights[i]) ? a.categories : i, weights[i] > 0 ? i : a.categories});
    state = join_block<Weights, kTeam>(state);
    if (threadIdx.x != 0) return;
    if (state.wrong < a.categories)
      report(a.reporter, Fault::Weight, row, state.wrong, weights[state.wrong]);
    else if (state.positive == a.categories)
      report(a.reporter, Fault::Distribution, row, 0, 0);
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_SAMPLE(kind) \
  FLAMBEAU_KERNEL(sample, flambeau::cuda::SampleArguments) { flambeau::cuda::sample<flambeau::kernels::kind>(a); }
#define FLAMBEAU_WEIGHTS \
  FLAMBEAU_COOPERATIVE_KERNEL(check, flambeau::cuda::WeightArguments, 256) { flambeau::cuda::Weights::check(a); }
#define FLAMBEAU_GAMMA_SLOPES                                                                                  \
  FLAMBEAU_KERNEL(slopes, flambeau::cuda::GammaSlopeArguments) {                                               \
    const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;                                          \
    if (i < a.count) a.out[i] = flambeau::kernels::gamma_slope(a.concentration[i], a.sample[i], a.logarithms); \
  }
#define FLAMBEAU_BETA_SLOPES                                                                                 \
  FLAMBEAU_KERNEL(slopes, flambeau::cuda::BetaSlopeArguments) {                                              \
    const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;                                        \
    if (i < a.count)                                                                                         \
      a.out[i] = flambeau::kernels::beta_slope(a.concentration[i], a.total[i] - a.concentration[i], a.x[i]); \
  }
