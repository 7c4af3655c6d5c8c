// Random fills.
#include "flambeau/random.h"

#include <cmath>
#include <random>

#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "kernels/table.h"

namespace flambeau {

Generator& default_generator() {
  static Generator generator(67280421310721ull);  // PyTorch's default seed: programs are reproducible without a call
  return generator;
}

namespace {

constexpr int64_t kGroups = 16;
constexpr int64_t kWords = kGroups * kernels::kGroup;

// Fills `t` by convert(words, destination as T*, count), where `words_each` words make one element.
template <class F>
void fill(const Tensor& t, int64_t words_each, Generator* generator, F&& convert_block) {
  Generator& g = generator ? *generator : default_generator();
  const int64_t chunk = kWords / words_each, chunks = (t.numel() + chunk - 1) / chunk;
  const uint64_t seed = g.seed(), offset = g.reserve(chunks * kGroups);
  const int64_t size = item_size(t.dtype());
  parallel_items(chunks, 16, [&](int64_t begin, int64_t end) {
    alignas(64) uint32_t bits[kWords];
    for (int64_t i = begin; i < end; ++i) {
      kernels::table().random_bits(bits, kGroups, seed, offset + uint64_t(i * kGroups));
      convert_block(bits, t.bytes() + i * chunk * size, std::min(chunk, t.numel() - i * chunk));
    }
  });
}

// Runs `draw` on a contiguous tensor of a type it supports, and copies where `t` is something else.
template <class F>
void through(const Tensor& t, Dtype type, const char* name, F&& draw) {
  begin_inplace(t, name);
  forget_history(t, "RandomFill");
  if (t.is_contiguous() && t.dtype() == type) return draw(t);
  Tensor buffer = empty(t.shape(), type);
  draw(buffer);
  copy_values(t, buffer);
}

Dtype real_type(const Tensor& t) { return t.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32; }

double unit(const uint32_t* words) {  // 53 bits in [0, 1)
  return double((uint64_t(words[0]) << 32 | words[1]) >> 11) * 0x1p-53;
}
uint64_t wide(const uint32_t* words) { return uint64_t(words[0]) << 32 | words[1]; }

}  // namespace

void fill_uniform(const Tensor& t, double low, double high, Generator* generator) {
  if (is_complex(t.dtype())) return fill_uniform(view_as_real(t), low, high, generator);  // both parts
  require<NotImplementedError>(is_floating(t.dtype()), "uniform_ is implemented for floating-point tensors, got ",
                               t.dtype());
  require(low <= high, "uniform_ expects to return a [from, to) range, but found from=", low, " > to=", high);
  through(t, real_type(t), "uniform_", [&](const Tensor& u) {
    const bool real64 = u.dtype() == Dtype::float64;
    fill(u, real64 ? 2 : 1, generator, [&](const uint32_t* bits, char* to, int64_t n) {
      if (real64) {
        for (int64_t i = 0; i < n; ++i) reinterpret_cast<double*>(to)[i] = low + unit(bits + 2 * i) * (high - low);
      } else {
        const float base = float(low), scale = float((high - low) * 0x1p-24);
        for (int64_t i = 0; i < n; ++i) {
          const float v = base + float(int32_t(bits[i] >> 8)) * scale;
          reinterpret_cast<float*>(to)[i] =
              v < float(high) || low == high ? v : base;  // rounding must not reach the open end
        }
      }
    });
  });
}

void fill_normal(const Tensor& t, double mean, double std, Generator* generator) {
  if (is_complex(t.dtype())) return fill_normal(view_as_real(t), mean, std / std::sqrt(2.0), generator);
  require<NotImplementedError>(is_floating(t.dtype()), "normal_ is implemented for floating-point tensors, got ",
                               t.dtype());
  require(std >= 0, "normal expects std >= 0.0, but found std ", std);
  through(t, real_type(t), "normal_", [&](const Tensor& u) {
    if (u.dtype() == Dtype::float64)
      return fill(u, 2, generator, [&](const uint32_t* bits, char* to, int64_t n) {
        for (int64_t i = 0; i < n; i += 2) {  // Box and Muller 1958
          const double radius = std::sqrt(-2 * std::log(1 - unit(bits + 2 * i))),
                       angle = 6.283185307179586 * unit(bits + 2 * i + 2);
          reinterpret_cast<double*>(to)[i] = mean + std * radius * std::cos(angle);
          if (i + 1 < n) reinterpret_cast<double*>(to)[i + 1] = mean + std * radius * std::sin(angle);
        }
      });
    fill(u, 1, generator, [&](const uint32_t* bits, char* to, int64_t n) {
      alignas(64) float values[kWords];
      kernels::table().normal(values, kGroups, bits);
      for (int64_t i = 0; i < n; ++i) reinterpret_cast<float*>(to)[i] = float(mean) + float(std) * values[i];
    });
  });
}

void fill_bernoulli(const Tensor& t, double p, Generator* generator) {
  require(p >= 0 && p <= 1, "bernoulli_ expects p to be in [0, 1], but got p=", p);
  through(t, Dtype::bool_, "bernoulli_", [&](const Tensor& u) {
    fill(u, 2, generator, [&](const uint32_t* bits, char* to, int64_t n) {
      for (int64_t i = 0; i < n; ++i) to[i] = unit(bits + 2 * i) < p;
    });
  });
}

void fill_integers(const Tensor& t, int64_t low, int64_t high, Generator* generator) {
  require(low < high, "random_ expects 'from' to be less than 'to', but got from=", low, " >= to=", high);
  for (int64_t bound : {low, high - 1})
    require(fits(Scalar(bound), t.dtype()) && (bound >= 0 || t.dtype() != Dtype::uint8), "random_: the range [", low,
            ", ", high, ") is out of bounds for ", t.dtype());
  const uint64_t range = uint64_t(high) - uint64_t(low);
  through(t, Dtype::int64, "random_", [&](const Tensor& u) {
    fill(u, 2, generator, [&](const uint32_t* bits, char* to, int64_t n) {
      for (int64_t i = 0; i < n; ++i)  // the high word of the product: a bias below range / 2**64
        reinterpret_cast<int64_t*>(to)[i] =
            low + int64_t(uint64_t((unsigned __int128)wide(bits + 2 * i) * range >> 64));
    });
  });
}

Tensor random_permutation(int64_t n, Dtype dtype, Generator* generator) {
  require(n >= 0, "n must be non-negative, got ", n);
  Tensor draws = empty({n}, Dtype::int64), out = arange(Scalar(0), Scalar(n), Scalar(1), Dtype::int64);
  fill(draws, 2, generator, [](const uint32_t* bits, char* to, int64_t count) {
    for (int64_t i = 0; i < count; ++i) reinterpret_cast<uint64_t*>(to)[i] = wide(bits + 2 * i);
  });
  for (int64_t i = n - 1; i > 0; --i) {  // Fisher and Yates, by Durstenfeld 1964
    const int64_t j = int64_t(uint64_t((unsigned __int128)draws.data<uint64_t>()[i] * uint64_t(i + 1) >> 64));
    std::swap(out.data<int64_t>()[i], out.data<int64_t>()[j]);
  }
  return to(out, dtype);
}

}  // namespace flambeau
