// Arguments of the kernels of random numbers. Host and device code include this file.
#pragma once

#include <cstdint>

#include "device/threads/report.h"

namespace flambeau::cuda {

#define FLAMBEAU_DISTRIBUTIONS(X) \
  X(Uniform)                      \
  X(Normal)                       \
  X(Exponential) X(Cauchy) X(LogNormal) X(Geometric) X(Bernoulli) X(BernoulliOf) X(Integers) X(Upto) X(Dropout)

enum class Distribution : int {
#define FLAMBEAU_DISTRIBUTION(name) name,
  FLAMBEAU_DISTRIBUTIONS(FLAMBEAU_DISTRIBUTION)
#undef FLAMBEAU_DISTRIBUTION
};

// Where numbers begin in the stream of a generator; offsets count groups of 64 words. Note [Numbers in graphs]
struct Position {
  uint64_t seed, offset;
  const uint64_t* start;  // in a graph: the seed and offset of its beginning, to which `offset` is added; else null
};
inline Position resolved(const Position& p) {
  return p.start ? Position{p.start[0], p.start[1] + p.offset, nullptr} : p;
}

struct DrawArguments {
  void* out;
  const void* in;  // the probabilities of BernoulliOf, in double; what Dropout is applied to
  int64_t count;
  Position position;
  double numbers[3];
  uint64_t whole[2];  // a threshold, a shift or where integers begin; how many of these there are
  Reporter reporter;  // of BernoulliOf
};

struct SampleArguments {
  double* out;
  const double *first, *second;  // numbers of each element; the second may be null
  int64_t count;
  Position position;
  double least;  // what is below becomes this
  Reporter reporter;
};

struct WeightArguments {
  const double* weights;  // rows of `categories`
  int64_t categories;
  Reporter reporter;
};

struct GammaSlopeArguments {
  double* out;
  const double *concentration, *sample;
  int64_t count;
  bool logarithms;  // of samples
};

struct BetaSlopeArguments {
  double* out;
  const double *x, *concentration, *total;
  int64_t count;
};

}  // namespace flambeau::cuda
