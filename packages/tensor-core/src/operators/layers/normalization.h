// Declarations that the normalisation operators share.
#pragma once

#include <algorithm>

#include "core/working_memory.h"
#include "flambeau/operators/networks.h"
#include "kernels/layers/networks.h"

namespace flambeau {

inline Dtype normalization_type(const Tensor& t) {
  return t.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32;
}
inline Tensor prepared(const Tensor& t, Dtype type) { return t.defined() ? contiguous(to(t, type)) : t; }
// Returns the address of an element, or null for an undefined tensor.
inline const char* bytes_at(const Tensor& t, int64_t element) {
  return t.defined() ? t.bytes() + element * item_size(t.dtype()) : nullptr;
}
inline double value_at(const Tensor& t, int64_t i, double otherwise) {
  return !t.defined() ? otherwise : t.dtype() == Dtype::float64 ? t.data<double>()[i] : double(t.data<float>()[i]);
}

// Sums of values and of their squares, from which the mean and the biased variance are computed. The values are
// relative to a centre near them, so that no digits are lost.
struct Sums {
  double values = 0, squares = 0;
};

// The conversion of rows of `length` contiguous elements between the dtype of a tensor and the dtype of the
// computation. Half-precision rows are converted a few at a time, so that the converted rows stay in the cache.
struct RowConversion {
  Dtype stored, computed;
  int64_t length;

  bool is_needed() const { return stored != computed; }
  int64_t rows_together() const { return std::max<int64_t>(1, 4096 / std::max<int64_t>(1, length)); }
  // Returns the size of the memory for converted rows.
  int64_t scratch_bytes() const { return is_needed() ? rows_together() * length * item_size(computed) : 1; }
  char* address(const Tensor& t, int64_t row) const { return t.bytes() + row * length * item_size(stored); }
  void read(char* to, const Tensor& t, int64_t row, int64_t rows) const {
    convert(computed, to, stored, address(t, row), rows);
  }
  void write(const Tensor& t, int64_t row, const char* from, int64_t rows) const {
    convert(stored, address(t, row), computed, from, rows);
  }
  // Returns the address of a row in the dtype of the computation; converts it to `scratch` if necessary.
  const char* converted(const Tensor& t, int64_t row, const Block& scratch) const {
    if (!is_needed()) return address(t, row);
    read(scratch.get(), t, row, 1);
    return scratch.get();
  }
  // Calls compute(to) with memory for a row in the dtype of the computation. Then stores the row.
  template <class F>
  void store(const Tensor& t, int64_t row, const Block& scratch, F&& compute) const {
    if (!is_needed()) return void(compute(address(t, row)));
    compute(scratch.get());
    write(t, row, scratch.get(), 1);
  }

 private:
  void convert(Dtype to_type, char* to, Dtype from_type, const char* from, int64_t rows) const {
    kernels::table().cast[int(to_type)][int(from_type)](to, item_size(to_type), from, item_size(from_type),
                                                        rows * length);
  }
};

// Coefficients of the gradient of a row (Note [Normalisation]). They are computed from the means of g' and g' * h.
struct RowGradient {
  double of_in, constant;
  RowGradient(double rstd, double mean_grad, double mean_product)
      : of_in(-rstd * rstd * mean_product), constant(-rstd * mean_grad) {}
};

// The layout of a tensor (N, C, ...). For each sample and channel, `inner` values are contiguous.
struct ChannelLayout {
  int64_t batch, channels, inner;

  static ChannelLayout of(const Tensor& x) {
    const int64_t channels = x.size(1), planes = x.size(0) * channels;
    return {x.size(0), channels, planes ? x.numel() / planes : 0};
  }
  int64_t grain(int64_t length) const { return std::max<int64_t>(1, 16384 / (length + 1)); }
};

inline Shape channel_shape(const Tensor& x) {  // shape of a vector with one element for each channel, which broadcasts
  Shape shape(size_t(x.dim()), 1);
  shape[1] = x.size(1);
  return shape;
}
inline Shape all_but_channel(const Tensor& x) {
  Shape dims;
  for (int i = 0; i < x.dim(); ++i)
    if (i != 1) dims.push_back(i);
  return dims;
}

// Returns the mean and the biased variance of n values. add_moments(sums, centre) adds the differences of all values
// from `centre`, and the squares of these differences, to `sums`.
template <class F>
Sums mean_and_variance(double n, int kind, F&& add_moments) {
  Sums first, second;
  add_moments(first, 0.0);
  const double centre = kind ? first.values / n : double(float(first.values / n));
  add_moments(second, centre);
  const double rest = second.values / n;  // NaN if any value is NaN, and then the variance is also NaN
  return {centre + rest, std::max(second.squares / n - rest * rest, 0.0)};
}

// Properties of rows that layer_norm or rms_norm normalises.
struct NormalizedRows {
  int64_t length;
  bool centred;   // false for RMS normalisation, which does not subtract the mean
  bool together;  // if true, several rows are processed at a time

  static bool are_faster_together(int64_t count, int64_t length, Dtype dtype);
};
// Normalises `count` rows and stores their moments. The result of a row does not depend on which other rows are
// normalised in the same call. `weight` and `bias` may be null. `kind`: 0 for float32, 1 for float64.
void normalize_rows(const NormalizedRows& rows, int kind, char* out, const char* in, const char* weight,
                    const char* bias, int64_t count, double eps, kernels::Moments* moments);

struct ChannelLines;
// Returns batch_norm with running statistics as one linear function for each channel, for inputs of the given shape (N,
// C, ...) and dtype. Returns no functions if any of the tensors does not have C elements.
ChannelLines inference_lines(const Shape& shape, Dtype dtype, const Tensor& running_mean, const Tensor& running_var,
                             const Tensor& weight, const Tensor& bias, double eps);

struct Gradients {
  Tensor input, weight, bias;
};

inline void set_affine(const Context& c, const Gradients& g, Dtype type) {
  if (c.needs(0)) c.set(0, to(g.input, type));
  if (c.needs(1)) c.set(1, to(g.weight, c.saved(1).dtype()));
  if (c.needs(2)) c.set(2, to(g.bias, c.saved(1).defined() ? c.saved(1).dtype() : type));
}

}  // namespace flambeau
