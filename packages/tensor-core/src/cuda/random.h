// Random numbers and sequences on a GPU.
#pragma once

#include "device/random/random_arguments.h"
#include "device/random/sequences_arguments.h"
#include "flambeau/cuda.h"
#include "flambeau/kernels/samplers.h"
#include "flambeau/random.h"

namespace flambeau::cuda {

// The position in a generator's stream at which a kernel begins to draw random words. Note [Numbers in graphs]
struct DrawPosition {
  uint64_t seed, offset;
  Tensor start;  // on the GPU: the seed and offset at which a replay of the graph begins; undefined outside captures
};
// Reserves groups of words in the stream of a generator (null: the default one) for a kernel on the device of `t`.
DrawPosition take_groups(Generator* generator, int64_t groups, const Tensor& t);

// Fills the contiguous tensor `out` with samples of a distribution. Each sample is computed from `words` words. Begins
// at the position `drawn`.
void draw(Distribution kind, const Tensor& out, const Tensor& in, int64_t words, const DrawPosition& drawn,
          std::initializer_list<double> numbers, uint64_t threshold, uint64_t range);
// Like draw(), for samplers with one or two parameters for each element. All tensors are contiguous float64.
void sample(kernels::Sampler kind, const Tensor& out, const Tensor& first, const Tensor& second,
            const DrawPosition& drawn, double least);
// Launches a kernel that reports rows of `weights` that are not distributions. The tensor is contiguous float64.
void check_weights(const Tensor& weights);
void gamma_slopes(const Tensor& out, const Tensor& concentration, const Tensor& sample, bool logarithms);
// Computes the derivatives of beta variates x with respect to the concentration, divided by 1 - x. All tensors are
// contiguous float64.
void beta_slopes(const Tensor& out, const Tensor& x, const Tensor& concentration, const Tensor& total);
// Starts from 0, 1, 2, ... and exchanges element i with element partners[i] <= i, for i = n - 1, ..., 0 in this order.
// `partners` is a uint32 tensor and is overwritten. Note [Permutations]
void exchange_sequentially(const Tensor& out, const Tensor& partners);
void sequence(const Tensor& out, const LinearSequence& line);
void whole_sequence(const Tensor& out, int64_t first, int64_t step);

}  // namespace flambeau::cuda
