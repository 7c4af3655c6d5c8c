// Fills of tensors with the numbers that PyTorch's operators draw on the CPU. Note [PyTorch's streams]
//
// Targets are contiguous. Formulas and the number of words for each element are those of PyTorch 2.13.
#pragma once

#include "flambeau/pytorch_stream.h"
#include "flambeau/random.h"

namespace flambeau::pytorch {

// Returns the PyTorch generator that fills a tensor; null if Philox does.
inline PyTorchStream* stream_for(const Tensor& t, Generator* generator) {
  PyTorchStream* const stream = (generator ? *generator : default_generator()).pytorch_stream();
  return stream && t.device() == DeviceType::Cpu ? stream : nullptr;
}
// Returns the dimensions of a tensor from the outermost in memory to the innermost: PyTorch's order of filling.
Shape memory_order(const Tensor& t);

void fill_uniform(PyTorchStream& stream, const Tensor& out, double low, double high);
// `in_blocks`: if true, numbers are computed in blocks of 16, as PyTorch does for contiguous tensors of at least 16
// elements; otherwise in pairs.
void fill_normal(PyTorchStream& stream, const Tensor& out, double mean, double std, bool in_blocks);
void fill_exponential(PyTorchStream& stream, const Tensor& out, double rate);
void fill_cauchy(PyTorchStream& stream, const Tensor& out, double median, double sigma);
void fill_log_normal(PyTorchStream& stream, const Tensor& out, double mean, double std);
void fill_geometric(PyTorchStream& stream, const Tensor& out, double p);

void fill_bernoulli(PyTorchStream& stream, const Tensor& out, double p);
void fill_bernoulli(PyTorchStream& stream, const Tensor& out, const Tensor& p);  // contiguous, with out's shape
// Bounds of random_(low, high), adjusted to the floating dtype if rounding would leave [low, high).
struct IntegerBounds {
  int64_t low, high;
};
IntegerBounds representable_bounds(int64_t low, int64_t high, Dtype dtype);
// Fills a tensor with uniform integers in [low, low + range). A range of 0 means 2**64.
void fill_integers(PyTorchStream& stream, const Tensor& out, int64_t low, uint64_t range);
void fill_whole_numbers(PyTorchStream& stream, const Tensor& out);  // all integers of the dtype, like random_()
Tensor permutation(PyTorchStream& stream, int64_t n);               // int64
// Returns the slopes of rrelu: 1, or uniform in [low, high) where x <= 0. x is contiguous.
Tensor negative_slopes(PyTorchStream& stream, const Tensor& x, double low, double high);
// Draws `draws` indices from a contiguous row of weights.
void draw_indices(PyTorchStream& stream, const Tensor& weights, int64_t draws, int64_t* out);

// The parameters are contiguous float32 or float64 tensors. Results have their dtype; both parameters of binomial have
// one dtype.
Tensor poisson(PyTorchStream& stream, const Tensor& rate);
Tensor binomial(PyTorchStream& stream, const Tensor& count, const Tensor& prob);
Tensor standard_gamma(PyTorchStream& stream, const Tensor& concentration);

}  // namespace flambeau::pytorch
