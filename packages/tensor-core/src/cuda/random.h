// Random numbers and sequences on a GPU.
#pragma once

#include "device/random/random_arguments.h"
#include "device/random/sequences_arguments.h"
#include "flambeau/cuda.h"
#include "flambeau/kernels/samplers.h"
#include "flambeau/random.h"

namespace flambeau::cuda {

// Random words taken out of the stream of a generator: where they begin. Note [Numbers in graphs]
struct Drawn {
  uint64_t seed, offset;
  Tensor start;  // on the GPU; undefined outside of graphs
};
// That many groups, of the default generator if it is null, for a kernel that works on `t`.
Drawn take_groups(Generator* generator, int64_t groups, const Tensor& t);

// Contiguous `out` of a distribution, `words` words an element from that place of the stream.
void draw(Distribution kind, const Tensor& out, const Tensor& in, int64_t words, const Drawn& drawn,
          std::initializer_list<double> numbers, uint64_t threshold, uint64_t range);
// The same of samplers, from one or two numbers for each element; all tensors are contiguous and float64.
void sample(kernels::Sampler kind, const Tensor& out, const Tensor& first, const Tensor& second, const Drawn& drawn,
            double least);
// Has kernels report rows of weights, contiguous and float64, that are no distributions.
void check_weights(const Tensor& weights);
void gamma_slopes(const Tensor& out, const Tensor& concentration, const Tensor& sample, bool logarithms);
// d x / d concentration / (1 - x) of beta variates x. Of float64, contiguous.
void beta_slopes(const Tensor& out, const Tensor& x, const Tensor& concentration, const Tensor& total);
// Starts from 0, 1, 2, ... and exchanges the elements i = n - 1, ..., 1, 0 in this order with those at places[i] <= i.
// places is a uint32 tensor and is overwritten. Note [Permutations]
void exchange_in_turn(const Tensor& out, const Tensor& places);
void sequence(const Tensor& out, const Line& line);
void whole_sequence(const Tensor& out, int64_t first, int64_t step);

}  // namespace flambeau::cuda
