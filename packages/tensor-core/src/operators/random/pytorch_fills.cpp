// Samples of continuous distributions from PyTorch's generator. Formulas in float64 are rounded once where PyTorch's
// kernels round once (Note [PyTorch's roundings]).
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/twister_table.h"
#include "operators/random/pytorch_order.h"
#include "operators/random/stream_words.h"

namespace flambeau::pytorch {

Shape memory_order(const Tensor& t) {
  Shape order(size_t(t.dim()));
  std::iota(order.begin(), order.end(), 0);
  const auto step = [&](int64_t d) {  // a dimension of size 1 may have any stride
    return t.shape()[size_t(d)] > 1 ? t.strides()[size_t(d)] : std::numeric_limits<int64_t>::max();
  };
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return step(a) > step(b); });
  return order;
}

namespace {

// Computes each element as formula(uniform number), in float64.
template <class F>
void from_uniform(PyTorchStream& stream, const Tensor& out, F&& formula) {
  dispatch(same_bits(out.dtype()), [&](auto tag) {
    using T = typename decltype(tag)::type;
    draw(stream, out.numel(), 2, kHeavyGrain, [&](const uint32_t* words, int64_t first, int64_t n) {
      T* to = out.data<T>() + first;
      for (int64_t i = 0; i < n; ++i) to[i] = narrowed<T>(formula(uniform53(words + 2 * i)));
    });
  });
}

// Computes each element as formula(standard normal number), one after the other.
template <class F>
void from_normal(PyTorchStream& stream, const Tensor& out, F&& formula) {
  dispatch(same_bits(out.dtype()), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const GilRelease release(out.numel() > kHeavyGrain);
    PyTorchStream::Draws draws(stream);
    T* to = out.data<T>();
    for (int64_t i = 0; i < out.numel(); ++i) to[i] = narrowed<T>(formula(draws.normal()));
  });
}

constexpr int64_t kBlock = 16;

void uniform_block(PyTorchStream& stream, float* values) {
  uint32_t words[kBlock];
  stream.fill(words, kBlock);
  kernels::twister_table().uniform(values, words, kBlock, 0, 1);
}
void uniform_block(PyTorchStream& stream, double* values) {
  uint32_t words[2 * kBlock];
  stream.fill(words, 2 * kBlock);
  kernels::twister_table().uniform_double(values, words, kBlock, 0, 1);
}

// Converts blocks of 16 uniform numbers to normal ones. The uniform numbers j and j + 8 of a block give the normal
// numbers j and j + 8 (Box and Muller 1958).
void normal_blocks(float* values, int64_t blocks, double mean, double std) {
  kernels::twister_table().normal(values, blocks, float(mean), float(std));
}
void normal_blocks(double* values, int64_t blocks, double mean, double std) {
  constexpr int64_t kHalf = kBlock / 2;
  for (int64_t block = 0; block < blocks; ++block, values += kBlock)
    for (int64_t j = 0; j < kHalf; ++j) {
      const double radius = std::sqrt(-2 * std::log(1 - values[j])), angle = 6.283185307179586 * values[j + kHalf];
      values[j] = std::fma(radius * std::cos(angle), std, mean);
      values[j + kHalf] = std::fma(radius * std::sin(angle), std, mean);
    }
}

template <class T>
void normal_in_blocks(PyTorchStream& stream, const Tensor& out, double mean, double std) {
  T* values = out.data<T>();
  const int64_t n = out.numel();
  fill_uniform(stream, out, 0, 1);
  parallel_for(n / kBlock, std::is_same_v<T, float> ? 1024 : 16,
               [&](int64_t begin, int64_t end) { normal_blocks(values + begin * kBlock, end - begin, mean, std); });
  if (n % kBlock == 0) return;
  uniform_block(stream, values + n - kBlock);  // new numbers are drawn for the last 16 elements
  normal_blocks(values + n - kBlock, 1, mean, std);
}

// Fills a half-precision tensor in blocks. As in PyTorch, numbers that the last block would replace are not drawn.
template <class T>
void half_normal_in_blocks(PyTorchStream& stream, const Tensor& out, double mean, double std) {
  T* values = out.data<T>();
  const int64_t n = out.numel(), whole = n / kBlock * kBlock;
  draw(stream, whole, 1, kLightGrain, [&](const uint32_t* words, int64_t first, int64_t count) {
    alignas(64) float block[kBlock];
    for (int64_t i = 0; i < count; i += kBlock) {
      kernels::twister_table().uniform(block, words + i, kBlock, 0, 1);
      normal_blocks(block, 1, mean, std);
      std::transform(block, block + kBlock, values + first + i, [](float v) { return convert<T>(v); });
    }
  });
  if (n == whole) return;
  float block[kBlock];
  uniform_block(stream, block);
  normal_blocks(block, 1, mean, std);
  std::transform(block, block + kBlock, values + n - kBlock, [](float v) { return convert<T>(v); });
}

}  // namespace

void fill_uniform(PyTorchStream& stream, const Tensor& out, double low, double high) {
  const auto& table = kernels::twister_table();
  if (out.dtype() == Dtype::float64)
    return draw(stream, out.numel(), 2, kLightGrain, [&](const uint32_t* words, int64_t first, int64_t n) {
      table.uniform_double(out.data<double>() + first, words, n, low, high);
    });
  if (out.dtype() == Dtype::float32)
    return draw(stream, out.numel(), 1, kLightGrain, [&](const uint32_t* words, int64_t first, int64_t n) {
      table.uniform(out.data<float>() + first, words, n, float(low), float(high));
    });
  dispatch(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T end = convert<T>(float(high)), begin = convert<T>(float(low));
    draw(stream, out.numel(), 1, kLightGrain, [&](const uint32_t* words, int64_t first, int64_t n) {
      T* to = out.data<T>() + first;
      for (int64_t i = 0; i < n; ++i) {
        const T value = convert<T>(std::fma(uniform24(words[i]), float(high) - float(low), float(low)));
        to[i] = convert<float>(value) == convert<float>(end) ? begin : value;
      }
    });
  });
}

void fill_normal(PyTorchStream& stream, const Tensor& out, double mean, double std, bool in_blocks) {
  if (!in_blocks) return from_normal(stream, out, [=](double value) { return std::fma(value, std, mean); });
  dispatch(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_floating_point_v<T>)
      normal_in_blocks<T>(stream, out, mean, std);
    else if constexpr (!std::is_integral_v<T>)
      half_normal_in_blocks<T>(stream, out, mean, std);
  });
}

void fill_exponential(PyTorchStream& stream, const Tensor& out, double rate) {
  from_uniform(stream, out, [scale = -1.0 / rate](double u) { return scale * std::log1p(-u); });
}

void fill_cauchy(PyTorchStream& stream, const Tensor& out, double median, double sigma) {
  from_uniform(stream, out, [=](double u) { return std::fma(sigma, std::tan(3.141592653589793 * (u - 0.5)), median); });
}

void fill_log_normal(PyTorchStream& stream, const Tensor& out, double mean, double std) {
  from_normal(stream, out, [=](double value) { return std::exp(std::fma(value, std, mean)); });
}

void fill_geometric(PyTorchStream& stream, const Tensor& out, double p) {
  from_uniform(stream, out, [p](double u) { return std::ceil(std::log(u) / std::log1p(-p)); });
}

}  // namespace flambeau::pytorch
