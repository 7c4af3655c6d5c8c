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

// The position of the first number in the stream of a generator. Offsets count groups of 64 words. Note [Numbers in
// graphs]
struct Position {
  uint64_t seed, offset;
  // In a captured graph: the seed and the offset at which a replay begins; `offset` is added to this offset. Otherwise
  // null.
  const uint64_t* start;
};
inline Position resolved(const Position& p) {
  return p.start ? Position{p.start[0], p.start[1] + p.offset, nullptr} : p;
}

struct DrawArguments {
  void* out;
  const void* in;  // the probabilities of BernoulliOf, in double precision, or the input of Dropout
  int64_t count;
  Position position;
  double numbers[3];     // parameters of the distribution
  uint64_t integers[2];  // [0]: a threshold, a shift or the least integer; [1]: the number of different integers
  Reporter reporter;     // for BernoulliOf
};

struct SampleArguments {
  double* out;
  const double *first, *second;  // parameters of each element; the second may be null
  int64_t count;
  Position position;
  double least;  // lower bound of the results
  Reporter reporter;
};

struct WeightArguments {
  const double* weights;  // rows of `categories` weights
  int64_t categories;
  Reporter reporter;
};

struct GammaSlopeArguments {
  double* out;
  const double *concentration, *sample;
  int64_t count;
  bool logarithms;  // true if the samples are given as logarithms
};

struct BetaSlopeArguments {
  double* out;
  const double *x, *concentration, *total;
  int64_t count;
};

}  // namespace flambeau::cuda
