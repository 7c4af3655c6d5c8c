// What the kernels of random numbers are told; both sides include this.
#pragma once

#include <cstdint>

namespace flambeau::cuda {

#define FLAMBEAU_DISTRIBUTIONS(X) \
  X(Uniform)                      \
  X(Normal) X(Exponential) X(Cauchy) X(LogNormal) X(Geometric) X(Bernoulli) X(BernoulliOf) X(Integers) X(Dropout)

enum class Distribution : int {
#define FLAMBEAU_DISTRIBUTION(name) name,
  FLAMBEAU_DISTRIBUTIONS(FLAMBEAU_DISTRIBUTION)
#undef FLAMBEAU_DISTRIBUTION
};

struct DrawArguments {
  void* out;
  const void* in;  // the probabilities of BernoulliOf, in double; what Dropout is applied to
  int64_t count;
  uint64_t seed, offset;  // in groups of 64 words
  double numbers[3];
  uint64_t whole[2];  // a threshold, a shift or where integers begin; how many of these there are
};

struct SampleArguments {
  double* out;
  const double *first, *second;  // numbers of each element; the second may be null
  int64_t count;
  uint64_t seed, offset;
  double least;  // what is below becomes this
};

struct GammaSlopeArguments {
  double* out;
  const double *concentration, *sample;
  int64_t count;
  bool logarithms;  // of samples
};

}  // namespace flambeau::cuda
