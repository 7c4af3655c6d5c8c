// Samples of discrete distributions from PyTorch's generator: Bernoulli trials, integers, permutations and multinomial
// draws.
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "flambeau/operators.h"
#include "kernels/twister_table.h"
#include "operators/random/pytorch_order.h"
#include "operators/random/stream_words.h"

namespace flambeau::pytorch {

void fill_bernoulli(PyTorchStream& stream, const Tensor& out, double p) {
  const auto threshold = uint64_t(std::ceil(p * 0x1p53));  // k / 2**53 < p if and only if k < threshold
  dispatch(same_bits(out.dtype()), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T one = convert<T>(1.0f), zero = convert<T>(0.0f);
    draw(stream, out.numel(), 2, kLightGrain, [&](const uint32_t* words, int64_t first, int64_t n) {
      T* to = out.data<T>() + first;
      if constexpr (sizeof(T) == 1) {
        kernels::twister_table().below(reinterpret_cast<uint8_t*>(to), words, n, threshold);
      } else {
        uint8_t kept[256];
        for (int64_t i = 0; i < n; i += 256) {
          const int64_t count = std::min<int64_t>(256, n - i);
          kernels::twister_table().below(kept, words + 2 * i, count, threshold);
          for (int64_t j = 0; j < count; ++j) to[i + j] = kept[j] ? one : zero;
        }
      }
    });
  });
}

void fill_bernoulli(PyTorchStream& stream, const Tensor& out, const Tensor& p) {
  const bool in_double = p.dtype() == Dtype::float64;
  const Tensor limits = in_double ? p : to(p, Dtype::float32);
  dispatch(same_bits(out.dtype()), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T one = convert<T>(1.0f), zero = convert<T>(0.0f);
    draw(stream, out.numel(), in_double ? 2 : 1, kLightGrain, [&](const uint32_t* words, int64_t first, int64_t n) {
      T* to = out.data<T>() + first;
      if (in_double) {
        const double* limit = limits.data<double>() + first;
        for (int64_t i = 0; i < n; ++i) to[i] = uniform53(words + 2 * i) < limit[i] ? one : zero;
      } else {
        const float* limit = limits.data<float>() + first;
        for (int64_t i = 0; i < n; ++i) to[i] = uniform24(words[i]) < limit[i] ? one : zero;
      }
    });
  });
}

IntegerBounds representable_bounds(int64_t low, int64_t high, Dtype dtype) {
  if (!is_floating(dtype)) return {low, high};
  const auto rounded = [dtype](int64_t value) {
    int64_t result = 0;
    dispatch(dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      result = std::is_same_v<T, double> ? int64_t(double(value)) : int64_t(convert<float>(convert<T>(float(value))));
    });
    return result;
  };
  const int digits = dtype == Dtype::float64 ? 53 : dtype == Dtype::float32 ? 24 : dtype == Dtype::float16 ? 11 : 8;
  const auto gap = [digits](int64_t value) {  // the distance between numbers of the dtype near `value`
    int exponent = 0;
    for (uint64_t left = uint64_t(std::abs(value)); left >>= 1;) ++exponent;
    return int64_t(1) << (exponent - digits + 1);
  };
  if (const int64_t next = rounded(low + 1); next < low) low = next + gap(low + 1);
  if (const int64_t last = rounded(high - 1); last >= high) high = last - gap(high - 1);
  return {low, high};
}

void fill_integers(PyTorchStream& stream, const Tensor& out, int64_t low, uint64_t range) {
  const bool is_wide = range == 0 || range >= uint64_t(1) << 28;
  dispatch(same_bits(out.dtype()), [&](auto tag) {
    using T = typename decltype(tag)::type;
    draw(stream, out.numel(), is_wide ? 2 : 1, kLightGrain, [&](const uint32_t* words, int64_t first, int64_t n) {
      T* to = out.data<T>() + first;
      if (!is_wide)
        for (int64_t i = 0; i < n; ++i) to[i] = convert<T>(low + int64_t(words[i] % uint32_t(range)));
      else
        for (int64_t i = 0; i < n; ++i) {
          const uint64_t value = uint64_of(words + 2 * i);
          to[i] = convert<T>(int64_t(uint64_t(low) + (range ? value % range : value)));
        }
    });
  });
}

void fill_whole_numbers(PyTorchStream& stream, const Tensor& out) {
  dispatch(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    constexpr bool is_wide = sizeof(T) == 8;
    uint64_t range = 2;
    if constexpr (!std::is_integral_v<T>)
      range = (uint64_t(1) << (is_wide ? 53 : sizeof(T) == 4 ? 24 : out.dtype() == Dtype::float16 ? 11 : 8)) + 1;
    else if constexpr (!std::is_same_v<T, bool>)
      range = uint64_t(std::numeric_limits<T>::max()) + 1;  // 0 means 2**64 for uint64
    draw(stream, out.numel(), is_wide ? 2 : 1, kLightGrain, [&](const uint32_t* words, int64_t first, int64_t n) {
      T* to = out.data<T>() + first;
      for (int64_t i = 0; i < n; ++i) {
        const uint64_t value = is_wide ? uint64_of(words + 2 * i) : words[i];
        to[i] = convert<T>(int64_t(range ? value % range : value));
      }
    });
  });
}

// Fisher-Yates shuffle (Durstenfeld 1964). From about 2**32 / 20 elements on, the remainder of one random word would
// favour some orders. PyTorch then uses two words for each element, and the inside-out form of the algorithm.
Tensor permutation(PyTorchStream& stream, int64_t n) {
  constexpr int64_t kWide = std::numeric_limits<uint32_t>::max() / 20;
  const Tensor result = empty({n}, Dtype::int64);
  int64_t* order = result.data<int64_t>();
  const GilRelease release(n > kGilGrain);
  std::iota(order, order + n, int64_t(0));
  if (n < kWide)
    draw(stream, std::max<int64_t>(n - 1, 0), 1, kLightGrain, [&](const uint32_t* words, int64_t first, int64_t count) {
      for (int64_t i = 0; i < count; ++i) {
        const int64_t at = first + i;
        std::swap(order[at], order[at + words[i] % uint32_t(n - at)]);
      }
    });
  else
    draw(stream, n, 2, kLightGrain, [&](const uint32_t* words, int64_t first, int64_t count) {
      for (int64_t i = 0; i < count; ++i) {
        const int64_t at = first + i, other = int64_t(uint64_of(words + 2 * i) % uint64_t(at + 1));
        order[at] = order[other];
        order[other] = at;
      }
    });
  return result;
}

Tensor negative_slopes(PyTorchStream& stream, const Tensor& x, double low, double high) {
  const Tensor slopes = empty(x.shape(), x.dtype());
  if (x.dtype() != Dtype::float64) low = float(low), high = float(high);
  dispatch(x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const GilRelease release(x.numel() > kHeavyGrain);
    PyTorchStream::Draws draws(stream);
    for (int64_t i = 0; i < x.numel(); ++i)
      slopes.data<T>()[i] =
          convert<double>(x.data<T>()[i]) <= 0 ? narrowed<T>(draws.uniform() * (high - low) + low) : convert<T>(1.0f);
  });
  return slopes;
}

namespace {

// Draws indices by binary search in the cumulative sums of the weights. The sums are rounded to T.
template <class T>
void draw_by_search(PyTorchStream& stream, const Tensor& weights, int64_t draws, int64_t* out) {
  const int64_t categories = weights.shape().back();
  const T* w = weights.data<T>();
  std::vector<T> sums(static_cast<size_t>(categories));
  const GilRelease release(weights.numel() > kHeavyGrain);
  PyTorchStream::Draws source(stream);
  for (const T* end = w + weights.numel(); w < end; w += categories) {
    std::partial_sum(w, w + categories, sums.begin());
    const T total = sums.back();
    for (T& sum : sums) sum /= total;
    sums.back() = 1;
    for (int64_t i = 0; i < draws; ++i) {
      const double u = source.uniform();
      *out++ = std::partition_point(sums.begin(), sums.end(), [u](T sum) { return double(sum) < u; }) - sums.begin();
    }
  }
}

}  // namespace

void draw_indices(PyTorchStream& stream, const Tensor& weights, int64_t draws, int64_t* out) {
  if (weights.dtype() == Dtype::float64) return draw_by_search<double>(stream, weights, draws, out);
  draw_by_search<float>(stream, to(weights, Dtype::float32), draws, out);
}

}  // namespace flambeau::pytorch
