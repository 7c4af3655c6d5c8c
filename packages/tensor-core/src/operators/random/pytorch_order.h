// Fills of tensors from PyTorch's streams, as PyTorch's operators on the CPU make them. Note [PyTorch's streams]
//
// The targets of fills are contiguous. Formulas and the count of words for each element are those of PyTorch 2.13.
#pragma once

#include "flambeau/pytorch_stream.h"
#include "flambeau/random.h"

namespace flambeau::pytorch {

// The stream that fills a tensor; null where Philox does.
inline PyTorchStream* stream_for(const Tensor& t, Generator* generator) {
  PyTorchStream* const stream = (generator ? *generator : default_generator()).pytorch_stream();
  return stream && t.device() == DeviceType::Cpu ? stream : nullptr;
}
// The dimensions of a tensor from the outermost of its memory to the innermost, which is PyTorch's order of filling.
Shape memory_order(const Tensor& t);

void fill_uniform(PyTorchStream& stream, const Tensor& out, double low, double high);
// `in_blocks`: by blocks of 16 numbers, as PyTorch fills contiguous tensors from 16 elements on, else in pairs.
void fill_normal(PyTorchStream& stream, const Tensor& out, double mean, double std, bool in_blocks);
void fill_exponential(PyTorchStream& stream, const Tensor& out, double rate);
void fill_cauchy(PyTorchStream& stream, const Tensor& out, double median, double sigma);
void fill_log_normal(PyTorchStream& stream, const Tensor& out, double mean, double std);
void fill_geometric(PyTorchStream& stream, const Tensor& out, double p);

void fill_bernoulli(PyTorchStream& stream, const Tensor& out, double p);
void fill_bernoulli(PyTorchStream& stream, const Tensor& out, const Tensor& p);  // contiguous, of out's shape
// The bounds of random_(low, high), moved to numbers of a floating dtype where rounding would leave [low, high).
struct IntegerBounds {
  int64_t low, high;
};
IntegerBounds representable_bounds(int64_t low, int64_t high, Dtype dtype);
// In [low, low + range); a range of 0 is 2**64.
void fill_integers(PyTorchStream& stream, const Tensor& out, int64_t low, uint64_t range);
void fill_whole_numbers(PyTorchStream& stream, const Tensor& out);  // all of the dtype, as random_() does
Tensor permutation(PyTorchStream& stream, int64_t n);               // int64
// The slopes of rrelu: 1, and uniform in [low, high) where x <= 0; x is contiguous.
Tensor negative_slopes(PyTorchStream& stream, const Tensor& x, double low, double high);
// The places that a row of weights, contiguous and of `categories`, gives to `draws` uniform numbers.
void draw_places(PyTorchStream& stream, const Tensor& weights, int64_t draws, int64_t* out);

// From contiguous tensors of float32 or float64, in their dtype; binomial of two of one dtype.
Tensor poisson(PyTorchStream& stream, const Tensor& rate);
Tensor binomial(PyTorchStream& stream, const Tensor& count, const Tensor& prob);
Tensor standard_gamma(PyTorchStream& stream, const Tensor& concentration);

}  // namespace flambeau::pytorch
