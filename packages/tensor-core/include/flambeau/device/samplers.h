// Samples of distributions that need an unknown count of random numbers, the CPU's but for the rounding of functions. A
// unit says FLAMBEAU_SAMPLE(kind), of kernels/samplers.h, or FLAMBEAU_GAMMA_SLOPES.
#pragma once

#include "flambeau/device/kernel.h"
#include "flambeau/device/random_arguments.h"
#include "kernels/gamma_slopes.h"
#include "kernels/samplers.h"

namespace flambeau::cuda {

template <class Kind>
void sample(const SampleArguments& a) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= a.count) return;
  const Position from = resolved(a.position);
  kernels::ElementStream stream(from.seed, from.offset, uint64_t(i));
  const double value = Kind::one(stream, a.first[i], a.second ? a.second[i] : 0.0);
  a.out[i] = value < a.least ? a.least : value;
}

}  // namespace flambeau::cuda

#define FLAMBEAU_SAMPLE(kind) \
  FLAMBEAU_KERNEL(sample, flambeau::cuda::SampleArguments) { flambeau::cuda::sample<flambeau::kernels::kind>(a); }
#define FLAMBEAU_GAMMA_SLOPES                                                                                  \
  FLAMBEAU_KERNEL(slopes, flambeau::cuda::GammaSlopeArguments) {                                               \
    const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;                                          \
    if (i < a.count) a.out[i] = flambeau::kernels::gamma_slope(a.concentration[i], a.sample[i], a.logarithms); \
  }
