// Fills with samples of continuous distributions and of the geometric distribution.
#include <algorithm>
#include <cmath>
#include <limits>

#include "flambeau/interpreter.h"
#include "flambeau/pointwise/activations.h"
#include "operators/creation/random_draws.h"

namespace flambeau {

using namespace drawing;

namespace {

// Converts words to uniform numbers in (0, 1). Their resolution near 0 is high, so that their logarithms have a wide
// range.
void open_unit(const uint32_t* words, float* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = (float(words[i]) + 0.5f) * 0x1p-32f;
}
void open_unit(const uint32_t* words, double* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = (double(uint64_of(words + 2 * i) >> 12) + 0.5) * 0x1p-52;
}

void apply(PointwiseOp op, char* values, int64_t n, Compute type) {
  char* pointers[] = {values, values};
  kernels::table().pointwise[int(op)][int(type)](pointers, n);
}
void apply(PointwiseOp op, float* values, int64_t n) { apply(op, reinterpret_cast<char*>(values), n, Compute::f32); }
void apply(PointwiseOp op, double* values, int64_t n) { apply(op, reinterpret_cast<char*>(values), n, Compute::f64); }

// Returns true if random numbers of a dtype are computed in double, each from two words.
bool in_double(Dtype d) { return d == Dtype::float64 || (!is_inexact(d) && d != Dtype::bool_ && item_size(d) >= 4); }

// Fills a tensor on a GPU. The numbers are computed in double or in float, as in fill().
void fill_on_gpu(cuda::Distribution kind, const Tensor& out, Generator* generator,
                 std::initializer_list<double> numbers) {
  draw_on_gpu(kind, out, in_double(out.dtype()) ? 2 : 1, generator, numbers);
}

// Fills `t` with the numbers that make(words, values, count) computes, in double if in_double() is true for the dtype,
// otherwise in float.
template <class F>
void fill(const Tensor& t, Generator* generator, F&& make) {
  dispatch(same_bits(t.dtype()), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using V = std::conditional_t<std::is_same_v<T, double> || (std::is_integral_v<T> && sizeof(T) >= 4), double, float>;
    draw(t.numel(), sizeof(V) / 4, generator, [&](const uint32_t* words, int64_t first, int64_t n) {
      T* to = t.data<T>() + first;
      if constexpr (std::is_same_v<T, V>) {
        make(words, to, n);
      } else {
        alignas(64) V values[kWords];
        make(words, values, n);
        for (int64_t i = 0; i < n; ++i) to[i] = convert<T>(values[i]);
      }
    });
  });
}

void standard_normal(const uint32_t* words, float* to, int64_t n) {
  alignas(64) float whole[kWords];
  const int64_t groups = (n + kernels::kGroup - 1) / kernels::kGroup;
  float* out = n % kernels::kGroup ? whole : to;
  kernels::table().normal(out, groups, words);
  if (out != to) std::copy(out, out + n, to);
}
void standard_normal(const uint32_t* words, double* to, int64_t n) {
  for (int64_t i = 0; i < n; i += 2) {  // Box and Muller 1958
    const double radius = std::sqrt(-2 * std::log(1 - unit(words + 2 * i))),
                 angle = 6.283185307179586 * unit(words + 2 * i + 2);
    to[i] = radius * std::cos(angle);
    if (i + 1 < n) to[i + 1] = radius * std::sin(angle);
  }
}

template <class E = NotImplementedError>
void require_floating(const Tensor& t, const char* name) {
  require<E>(is_floating(t.dtype()), name,
             " samples a continuous distribution and requires a floating-point dtype, got ", t.dtype());
}

void uniform_on_gpu(const Tensor& out, double low, double high, Generator* generator) {
  if (out.dtype() == Dtype::float64)
    return draw_on_gpu(cuda::Distribution::Uniform, out, 2, generator, {low, high - low, high});
  const int digits = dtype_limits(out.dtype()).digits;
  double end = 0;
  dispatch(out.dtype(), [&](auto tag) { end = convert<float>(convert<typename decltype(tag)::type>(high)); });
  draw_on_gpu(cuda::Distribution::Uniform, out, 1, generator,
              {double(float(low)), double(std::ldexp(float(high - low), -digits)), end}, uint64_t(32 - digits));
}

void uniform_doubles(const Tensor& out, double low, double high, Generator* generator) {
  draw(out.numel(), 2, generator, [&](const uint32_t* words, int64_t first, int64_t n) {
    double* to = out.data<double>() + first;
    for (int64_t i = 0; i < n; ++i) {
      const double v = low + unit(words + 2 * i) * (high - low);
      to[i] = v < high ? v : low;  // if rounding gives `high`, which is excluded, use `low`
    }
  });
}

// Fills a tensor with uniform numbers in [low, high). Each number is computed in float from `digits` random bits.
template <class T>
void uniform_floats(const Tensor& out, int digits, double low, double high, Generator* generator) {
  const int shift = 32 - digits;
  const float base = float(low), scale = std::ldexp(float(high - low), -digits), end = convert<float>(convert<T>(high));
  draw(out.numel(), 1, generator, [&](const uint32_t* words, int64_t first, int64_t n) {
    T* to = out.data<T>() + first;
    for (int64_t i = 0; i < n; ++i) {
      const T v = convert<T>(base + float(int32_t(words[i] >> shift)) * scale);
      to[i] = convert<float>(v) < end ? v : convert<T>(base);
    }
  });
}

}  // namespace

void fill_uniform(const Tensor& t, double low, double high, Generator* generator) {
  if (is_complex(t.dtype())) return fill_uniform(view_as_real(t), low, high, generator);  // real and imaginary parts
  require_floating(t, "uniform_");
  const auto [largest, digits] = dtype_limits(t.dtype());
  require(std::abs(low) <= largest, "uniform_: from=", low, " is out of bounds for ", t.dtype());
  require(std::abs(high) <= largest, "uniform_: to=", high, " is out of bounds for ", t.dtype());
  require(low <= high, "uniform_ expects to return a [from, to) range, but found from=", low, " > to=", high);
  require(high - low <= largest, "uniform_ expects to-from <= the largest ", t.dtype(), ", but found to=", high,
          " and from=", low);
  in_place(
      t, "uniform_", "Uniform", generator,
      [&](const Tensor& out, PyTorchStream& stream) { pytorch::fill_uniform(stream, out, low, high); },
      [&, digits = digits](const Tensor& out) {
        if (cuda::runs_on_gpu(out)) return uniform_on_gpu(out, low, high, generator);
        if (out.dtype() == Dtype::float64) return uniform_doubles(out, low, high, generator);
        dispatch(same_bits(out.dtype()),
                 [&](auto tag) { uniform_floats<typename decltype(tag)::type>(out, digits, low, high, generator); });
      });
}

void fill_normal(const Tensor& t, double mean, double std, Generator* generator) {
  if (is_complex(t.dtype())) return fill_normal(view_as_real(t), mean, std / std::sqrt(2.0), generator);
  require_floating(t, "normal_");
  require(std >= 0, "normal expects std >= 0.0, but found std ", std);
  in_place(
      t, "normal_", "Normal", generator,
      [&](const Tensor& out, PyTorchStream& stream) {
        pytorch::fill_normal(stream, out, mean, std, t.numel() >= 16 && t.is_contiguous());
      },
      [&](const Tensor& out) {
        if (cuda::runs_on_gpu(out)) return fill_on_gpu(cuda::Distribution::Normal, out, generator, {mean, std});
        fill(out, generator, [&](const uint32_t* words, auto* to, int64_t n) {
          using V = std::decay_t<decltype(*to)>;
          standard_normal(words, to, n);
          if (mean == 0 && std == 1) return;
          for (int64_t i = 0; i < n; ++i) to[i] = V(mean) + V(std) * to[i];
        });
      });
}

void fill_exponential(const Tensor& t, double rate, Generator* generator) {
  require_floating<Error>(t, "exponential_");
  require(rate > 0, "exponential_ expects lambda > 0.0, but found lambda=", rate);
  in_place(
      t, "exponential_", "Exponential", generator,
      [&](const Tensor& out, PyTorchStream& stream) { pytorch::fill_exponential(stream, out, rate); },
      [&](const Tensor& out) {
        if (cuda::runs_on_gpu(out)) return fill_on_gpu(cuda::Distribution::Exponential, out, generator, {1 / rate});
        fill(out, generator, [&](const uint32_t* words, auto* to, int64_t n) {
          using V = std::decay_t<decltype(*to)>;
          constexpr V smallest = std::numeric_limits<V>::epsilon() / 4;  // for uniform numbers that are rounded to 1
          open_unit(words, to, n);
          apply(op::log, to, n);
          const V scale = V(1 / rate);
          for (int64_t i = 0; i < n; ++i) to[i] = (to[i] < -smallest ? -to[i] : smallest) * scale;
        });
      });
}

void fill_cauchy(const Tensor& t, double median, double sigma, Generator* generator) {
  require_floating<Error>(t, "cauchy_");
  require(sigma > 0, "cauchy_ expects sigma > 0.0, but found sigma=", sigma);
  in_place(
      t, "cauchy_", "Cauchy", generator,
      [&](const Tensor& out, PyTorchStream& stream) { pytorch::fill_cauchy(stream, out, median, sigma); },
      [&](const Tensor& out) {
        if (cuda::runs_on_gpu(out)) return fill_on_gpu(cuda::Distribution::Cauchy, out, generator, {median, sigma});
        fill(out, generator, [&](const uint32_t* words, auto* to, int64_t n) {
          using V = std::decay_t<decltype(*to)>;
          for (int64_t i = 0; i < n; ++i) {  // pi (u - 1/2), the argument of the tangent
            if constexpr (std::is_same_v<V, float>)
              to[i] = float(int32_t(words[i])) * float(3.141592653589793 * 0x1p-32);
            else
              to[i] = double(int64_t(uint64_of(words + 2 * i))) * (3.141592653589793 * 0x1p-64);
          }
          apply(op::tan, to, n);
          for (int64_t i = 0; i < n; ++i) to[i] = V(median) + V(sigma) * to[i];
        });
      });
}

void fill_log_normal(const Tensor& t, double mean, double std, Generator* generator) {
  require_floating(t, "log_normal_");
  require(std > 0, "log_normal_ expects std > 0.0, but found std=", std);
  in_place(
      t, "log_normal_", "LogNormal", generator,
      [&](const Tensor& out, PyTorchStream& stream) { pytorch::fill_log_normal(stream, out, mean, std); },
      [&](const Tensor& out) {
        if (cuda::runs_on_gpu(out)) return fill_on_gpu(cuda::Distribution::LogNormal, out, generator, {mean, std});
        fill(out, generator, [&](const uint32_t* words, auto* to, int64_t n) {
          using V = std::decay_t<decltype(*to)>;
          standard_normal(words, to, n);
          for (int64_t i = 0; i < n; ++i) to[i] = V(mean) + V(std) * to[i];
          apply(op::exp, to, n);
        });
      });
}

void fill_geometric(const Tensor& t, double p, Generator* generator) {
  require<NotImplementedError>(t.dtype() != Dtype::bool_, "geometric_ is not implemented for bool tensors");
  require(p > 0 && p < 1, "geometric_ expects p to be in (0, 1), but got p=", p);
  in_place(
      t, "geometric_", "Geometric", generator,
      [&](const Tensor& out, PyTorchStream& stream) { pytorch::fill_geometric(stream, out, p); },
      [&](const Tensor& out) {
        if (cuda::runs_on_gpu(out))
          return fill_on_gpu(cuda::Distribution::Geometric, out, generator, {1 / std::log1p(-p)});
        fill(out, generator, [&](const uint32_t* words, auto* to, int64_t n) {
          using V = std::decay_t<decltype(*to)>;
          const V scale = V(1 / std::log1p(-p));
          open_unit(words, to, n);
          apply(op::log, to, n);
          for (int64_t i = 0; i < n; ++i) to[i] = std::max(std::ceil(to[i] * scale), V(1));
        });
      });
}

}  // namespace flambeau
