// Fills with the numbers that PyTorch's operators draw on the CPU. Note [PyTorch's streams]
//
// The tensors to fill are contiguous. The formulas and the number of words for each element are the same as in PyTorch
// 2.13.
#pragma once

#include "flambeau/pytorch_stream.h"
#include "flambeau/random.h"

namespace flambeau::pytorch {

// Returns the PyTorch generator that fills the tensor, or null if Philox fills it.
inline PyTorchStream* stream_for(const Tensor& t, Generator* generator) {
  PyTorchStream* const stream = (generator ? *generator : default_generator()).pytorch_stream();
  return stream && t.device() == DeviceType::Cpu ? stream : nullptr;
}
// Returns the dimensions from the outermost in memory to the innermost, the order in which PyTorch fills a tensor.
Shape memory_order(const Tensor& t);

void fill_uniform(PyTorchStream& stream, const Tensor& out, double low, double high);
// `in_blocks`: computes numbers in blocks of 16, as PyTorch does for contiguous tensors of at least 16 elements.
// Otherwise computes them in pairs.
void fill_normal(PyTorchStream& stream, const Tensor& out, double mean, double std, bool in_blocks);
void fill_exponential(PyTorchStream& stream, const Tensor& out, double rate);
void fill_cauchy(PyTorchStream& stream, const Tensor& out, double median, double sigma);
void fill_log_normal(PyTorchStream& stream, const Tensor& out, double mean, double std);
void fill_geometric(PyTorchStream& stream, const Tensor& out, double p);

void fill_bernoulli(PyTorchStream& stream, const Tensor& out, double p);
void fill_bernoulli(PyTorchStream& stream, const Tensor& out, const Tensor& p);  // p: contiguous, with out's shape
// Bounds of random_(low, high) that are adjusted to a floating dtype, because rounding could otherwise leave [low,
// high).
struct IntegerBounds {
  int64_t low, high;
};
IntegerBounds representable_bounds(int64_t low, int64_t high, Dtype dtype);
// Fills a tensor with uniform integers in [low, low + range). A range of 0 means 2**64.
void fill_integers(PyTorchStream& stream, const Tensor& out, int64_t low, uint64_t range);
void fill_whole_numbers(PyTorchStream& stream, const Tensor& out);  // as random_() does without bounds
Tensor permutation(PyTorchStream& stream, int64_t n);               // an int64 tensor
// Returns the slopes of rrelu: uniform numbers in [low, high) where x <= 0, and 1 elsewhere. x is contiguous.
Tensor negative_slopes(PyTorchStream& stream, const Tensor& x, double low, double high);
// Draws `draws` indices for each row of the weights, which are contiguous.
void draw_indices(PyTorchStream& stream, const Tensor& weights, int64_t draws, int64_t* out);

// Parameters are contiguous float32 or float64 tensors, and results have their dtype. Both parameters of binomial()
// have the same dtype.
Tensor poisson(PyTorchStream& stream, const Tensor& rate);
Tensor binomial(PyTorchStream& stream, const Tensor& count, const Tensor& prob);
Tensor standard_gamma(PyTorchStream& stream, const Tensor& concentration);

}  // namespace flambeau::pytorch
