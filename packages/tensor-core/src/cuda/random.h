// Random numbers and sequences on a GPU.
#pragma once

#include "flambeau/cuda.h"
#include "flambeau/device/random_arguments.h"
#include "flambeau/device/sequences_arguments.h"
#include "kernels/samplers.h"

namespace flambeau::cuda {

// Contiguous `out` of a distribution, `words` words an element from that place of the stream.
void draw(Distribution kind, const Tensor& out, const Tensor& in, int64_t words, uint64_t seed, uint64_t offset,
          std::initializer_list<double> numbers, uint64_t threshold, uint64_t range);
// The same of samplers, from one or two numbers for each element; all tensors are contiguous and float64.
void sample(kernels::Sampler kind, const Tensor& out, const Tensor& first, const Tensor& second, uint64_t seed,
            uint64_t offset, double least);
void gamma_slopes(const Tensor& out, const Tensor& concentration, const Tensor& sample, bool logarithms);
void sequence(const Tensor& out, const Line& line);
void whole_sequence(const Tensor& out, int64_t first, int64_t step);

}  // namespace flambeau::cuda
