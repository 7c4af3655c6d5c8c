// Random fills and permutations.
#include "flambeau/random.h"
#include "flambeau/operator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "cuda/random.h"
#include "flambeau/interpreter.h"
#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "flambeau/rows/activations.h"
#include "flambeau/thread_generator.h"
#include "kernels/table.h"
#include "tasks/sample_errors.h"

namespace flambeau {

namespace {

thread_local Generator own_generator;
thread_local bool has_own_generator = false;

}  // namespace

uint64_t seed_from_entropy() {
  std::random_device source;
  const uint64_t high = source();
  return high << 32 | source();
}

Generator& default_generator() {
  static Generator generator(seed_from_entropy());
  return has_own_generator ? own_generator : generator;
}

void seed_this_thread(uint64_t seed) {
  own_generator.set_state(seed, 0);
  has_own_generator = true;
}

namespace {

constexpr int64_t kGroups = 16;
constexpr int64_t kWords = kGroups * kernels::kGroup;

// How much n elements take out of the stream: a whole number of times kGroups.
int64_t groups_for(int64_t n, int64_t words_each) {
  const int64_t chunk = kWords / words_each;
  return (n + chunk - 1) / chunk * kGroups;
}

// Calls block(words, first element, count) for the elements [0, n), where `words_each` words make one element.
template <class F>
void draw(int64_t n, int64_t words_each, Generator* generator, F&& block) {
  const int64_t chunk = kWords / words_each, chunks = (n + chunk - 1) / chunk;
  Generator& g = generator ? *generator : default_generator();
  const uint64_t seed = g.seed(), offset = g.reserve(groups_for(n, words_each));
  parallel_items(chunks, 16, [&](int64_t begin, int64_t end) {
    alignas(64) uint32_t words[kWords];
    for (int64_t i = begin; i < end; ++i) {
      const int64_t count = std::min(chunk, n - i * chunk);
      const int64_t groups = (count * words_each + kernels::kGroup - 1) / kernels::kGroup;
      kernels::table().random_bits(words, groups, seed, offset + uint64_t(i * kGroups));
      block(words, i * chunk, count);
    }
  });
}

// Runs body(tensor) on contiguous memory: `t` itself, or a buffer that is copied to it.
template <class F>
void in_place(const Tensor& t, const char* name, const char* node, F&& body) {
  begin_inplace(t, name);
  if (!t.is_meta()) {
    const Tensor buffer = t.is_contiguous() ? t : empty(t.shape(), t.dtype());
    body(buffer);
    if (!buffer.same(t)) copy_values(t, buffer);
  }
  forget_history(t, node);
}

uint64_t wide(const uint32_t* words) { return uint64_t(words[0]) << 32 | words[1]; }
double unit(const uint32_t* words) { return double(wide(words) >> 11) * 0x1p-53; }  // [0, 1)
// (0, 1), fine near 0 so that logarithms reach far.
void open_unit(const uint32_t* words, float* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = (float(words[i]) + 0.5f) * 0x1p-32f;
}
void open_unit(const uint32_t* words, double* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = (double(wide(words + 2 * i) >> 12) + 0.5) * 0x1p-52;
}

void apply(PointwiseOp op, char* values, int64_t n, Compute type) {
  char* pointers[] = {values, values};
  kernels::table().pointwise[int(op)][int(type)](pointers, n);
}
void apply(PointwiseOp op, float* values, int64_t n) { apply(op, reinterpret_cast<char*>(values), n, Compute::f32); }
void apply(PointwiseOp op, double* values, int64_t n) { apply(op, reinterpret_cast<char*>(values), n, Compute::f64); }

// What numbers of a dtype are computed in: as many words make one.
bool in_double(Dtype d) { return d == Dtype::float64 || (!is_inexact(d) && d != Dtype::bool_ && item_size(d) >= 4); }

// The same on a GPU; `words` words an element.
void draw_there(cuda::Distribution kind, const Tensor& out, int64_t words, Generator* generator,
                std::initializer_list<double> numbers, uint64_t threshold = 0, uint64_t range = 0,
                const Tensor& in = {}) {
  const cuda::Drawn drawn = cuda::take_groups(generator, groups_for(out.numel(), words), out);
  cuda::draw(kind, out, in, words, drawn, numbers, threshold, range);
}
// Of those that compute in what fill() does.
void draw_there(cuda::Distribution kind, const Tensor& out, Generator* generator,
                std::initializer_list<double> numbers) {
  draw_there(kind, out, in_double(out.dtype()) ? 2 : 1, generator, numbers);
}

// Fills `t` by make(words, values, count), which computes in float, or in double where the dtype holds more.
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

// Largest finite number, and how many digits a whole number may have and be exact.
struct Limits {
  double largest;
  int digits;
};
Limits limits(Dtype d) {
  if (d == Dtype::float16) return {65504.0, 11};
  if (d == Dtype::bfloat16) return {0x1.FEp127, 8};
  return d == Dtype::float32 ? Limits{std::numeric_limits<float>::max(), 24}
                             : Limits{std::numeric_limits<double>::max(), 53};
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
             " draws from a continuous distribution: the dtype must be a floating one, got ", t.dtype());
}

void uniform_there(const Tensor& out, double low, double high, Generator* generator) {
  if (out.dtype() == Dtype::float64)
    return draw_there(cuda::Distribution::Uniform, out, 2, generator, {low, high - low, high});
  const int digits = limits(out.dtype()).digits;
  double end = 0;
  dispatch(out.dtype(), [&](auto tag) { end = convert<float>(convert<typename decltype(tag)::type>(high)); });
  draw_there(cuda::Distribution::Uniform, out, 1, generator,
             {double(float(low)), double(std::ldexp(float(high - low), -digits)), end}, uint64_t(32 - digits));
}

void uniform_doubles(const Tensor& out, double low, double high, Generator* generator) {
  draw(out.numel(), 2, generator, [&](const uint32_t* words, int64_t first, int64_t n) {
    double* to = out.data<double>() + first;
    for (int64_t i = 0; i < n; ++i) {
      const double v = low + unit(words + 2 * i) * (high - low);
      to[i] = v < high ? v : low;  // rounding must not reach the open end
    }
  });
}

// As many random digits as the dtype holds, computed in float.
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
  if (is_complex(t.dtype())) return fill_uniform(view_as_real(t), low, high, generator);  // both parts
  require_floating(t, "uniform_");
  const auto [largest, digits] = limits(t.dtype());
  require(std::abs(low) <= largest, "uniform_: from=", low, " is out of bounds for ", t.dtype());
  require(std::abs(high) <= largest, "uniform_: to=", high, " is out of bounds for ", t.dtype());
  require(low <= high, "uniform_ expects to return a [from, to) range, but found from=", low, " > to=", high);
  require(high - low <= largest, "uniform_ expects to - from to be at most the largest ", t.dtype(),
          ", but found to=", high, " and from=", low);
  in_place(t, "uniform_", "Uniform", [&, digits = digits](const Tensor& out) {
    if (cuda::takes(out)) return uniform_there(out, low, high, generator);
    if (out.dtype() == Dtype::float64) return uniform_doubles(out, low, high, generator);
    dispatch(same_bits(out.dtype()),
             [&](auto tag) { uniform_floats<typename decltype(tag)::type>(out, digits, low, high, generator); });
  });
}

void fill_normal(const Tensor& t, double mean, double std, Generator* generator) {
  if (is_complex(t.dtype())) return fill_normal(view_as_real(t), mean, std / std::sqrt(2.0), generator);
  require_floating(t, "normal_");
  require(std >= 0, "normal expects std >= 0.0, but found std ", std);
  in_place(t, "normal_", "Normal", [&](const Tensor& out) {
    if (cuda::takes(out)) return draw_there(cuda::Distribution::Normal, out, generator, {mean, std});
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
  in_place(t, "exponential_", "Exponential", [&](const Tensor& out) {
    if (cuda::takes(out)) return draw_there(cuda::Distribution::Exponential, out, generator, {1 / rate});
    fill(out, generator, [&](const uint32_t* words, auto* to, int64_t n) {
      using V = std::decay_t<decltype(*to)>;
      constexpr V smallest = std::numeric_limits<V>::epsilon() / 4;  // where the uniform number rounds to 1
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
  in_place(t, "cauchy_", "Cauchy", [&](const Tensor& out) {
    if (cuda::takes(out)) return draw_there(cuda::Distribution::Cauchy, out, generator, {median, sigma});
    fill(out, generator, [&](const uint32_t* words, auto* to, int64_t n) {
      using V = std::decay_t<decltype(*to)>;
      for (int64_t i = 0; i < n; ++i) {  // pi (u - 1/2), of which the tangent is taken
        if constexpr (std::is_same_v<V, float>)
          to[i] = float(int32_t(words[i])) * float(3.141592653589793 * 0x1p-32);
        else
          to[i] = double(int64_t(wide(words + 2 * i))) * (3.141592653589793 * 0x1p-64);
      }
      apply(op::tan, to, n);
      for (int64_t i = 0; i < n; ++i) to[i] = V(median) + V(sigma) * to[i];
    });
  });
}

void fill_log_normal(const Tensor& t, double mean, double std, Generator* generator) {
  require_floating(t, "log_normal_");
  require(std > 0, "log_normal_ expects std > 0.0, but found std=", std);
  in_place(t, "log_normal_", "LogNormal", [&](const Tensor& out) {
    if (cuda::takes(out)) return draw_there(cuda::Distribution::LogNormal, out, generator, {mean, std});
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
  in_place(t, "geometric_", "Geometric", [&](const Tensor& out) {
    if (cuda::takes(out)) return draw_there(cuda::Distribution::Geometric, out, generator, {1 / std::log1p(-p)});
    fill(out, generator, [&](const uint32_t* words, auto* to, int64_t n) {
      using V = std::decay_t<decltype(*to)>;
      const V scale = V(1 / std::log1p(-p));
      open_unit(words, to, n);
      apply(op::log, to, n);
      for (int64_t i = 0; i < n; ++i) to[i] = std::max(std::ceil(to[i] * scale), V(1));
    });
  });
}

void fill_bernoulli(const Tensor& t, double p, Generator* generator) {
  require(p >= 0 && p <= 1, "bernoulli_ expects p to be in [0, 1], but got p=", p);
  const uint64_t threshold = uint64_t(p * 0x1p53);
  in_place(t, "bernoulli_", "Bernoulli", [&](const Tensor& out) {
    if (cuda::takes(out)) return draw_there(cuda::Distribution::Bernoulli, out, 2, generator, {}, threshold);
    dispatch(same_bits(out.dtype()), [&](auto tag) {
      using T = typename decltype(tag)::type;
      draw(out.numel(), 2, generator, [&](const uint32_t* words, int64_t first, int64_t n) {
        T* to = out.data<T>() + first;
        const T one = convert<T>(1.0f), zero = convert<T>(0.0f);
        for (int64_t i = 0; i < n; ++i) to[i] = (wide(words + 2 * i) >> 11) < threshold ? one : zero;
      });
    });
  });
}

namespace {

bool all_probabilities(const Tensor& p) {
  if (!p.is_contiguous() || p.numel() > 4096 || cuda::takes(p))
    return p.numel() == 0 || item(all(logical_and(ge(p, 0), le(p, 1)), {}, false)).truth();
  const double* values = p.data<double>();
  return std::all_of(values, values + p.numel(), [](double v) { return v >= 0 && v <= 1; });
}

}  // namespace

void fill_bernoulli(const Tensor& t, const Tensor& p, Generator* generator) {
  require<NotImplementedError>(is_floating(p.dtype()), "bernoulli_: the probabilities must be floating, got ",
                               p.dtype());
  Tensor wanted;
  {
    NoRecording off;
    const Tensor wide = to(p, Dtype::float64);
    const bool reported = cuda::takes(wide) && cuda::takes(t);  // by the kernel
    require(p.is_meta() || reported || all_probabilities(wide), WrongProbability{});
    wanted = p.shape() == t.shape() ? contiguous(wide) : contiguous(expand(wide, t.shape()));
  }
  in_place(t, "bernoulli_", "Bernoulli", [&](const Tensor& out) {
    if (cuda::takes(out)) return draw_there(cuda::Distribution::BernoulliOf, out, 2, generator, {}, 0, 0, wanted);
    dispatch(same_bits(out.dtype()), [&](auto tag) {
      using T = typename decltype(tag)::type;
      draw(out.numel(), 2, generator, [&](const uint32_t* words, int64_t first, int64_t n) {
        T* to = out.data<T>() + first;
        const double* limit = wanted.data<double>() + first;
        const T one = convert<T>(1.0f), zero = convert<T>(0.0f);
        for (int64_t i = 0; i < n; ++i) to[i] = unit(words + 2 * i) < limit[i] ? one : zero;
      });
    });
  });
}

void fill_integers(const Tensor& t, int64_t low, int64_t high, Generator* generator) {
  require(low < high, "random_ expects 'from' to be less than 'to', but got from=", low, " >= to=", high);
  const auto representable = [&](int64_t v) {
    if (is_floating(t.dtype())) return std::abs(double(v)) <= limits(t.dtype()).largest;
    if (t.dtype() == Dtype::bool_) return v == 0 || v == 1;
    return fits(Scalar(v), t.dtype()) && (v >= 0 || !is_unsigned(t.dtype()));
  };
  require(representable(low), "random_: from=", low, " is out of bounds for ", t.dtype());
  require(representable(high - 1), "random_: to - 1=", high - 1, " is out of bounds for ", t.dtype());
  const uint64_t range = uint64_t(high) - uint64_t(low);
  in_place(t, "random_", "Random", [&](const Tensor& out) {
    if (cuda::takes(out)) return draw_there(cuda::Distribution::Integers, out, 2, generator, {}, uint64_t(low), range);
    dispatch(same_bits(out.dtype()), [&](auto tag) {
      using T = typename decltype(tag)::type;
      draw(out.numel(), 2, generator, [&](const uint32_t* words, int64_t first, int64_t n) {
        T* to = out.data<T>() + first;
        for (int64_t i = 0; i < n; ++i)  // the high word of the product: a bias below range / 2**64
          to[i] = convert<T>(low + int64_t(uint64_t((unsigned __int128)wide(words + 2 * i) * range >> 64)));
      });
    });
  });
}

Tensor random_permutation(int64_t n, Dtype dtype, Generator* generator) {
  require(n >= 0, "randperm: n must be non-negative, got ", n);
  require<NotImplementedError>(dtype != Dtype::bool_, "randperm is not implemented for bool");
  const int64_t largest = is_floating(dtype) ? (int64_t(1) << limits(dtype).digits) + 1 : n;
  require(n <= largest && (n == 0 || fits(Scalar(n), dtype)), "randperm: n=", n, " is too large for ", dtype);
  if (OnDevice::current() == DeviceType::Cuda) {
    const Tensor places = empty({n}, Dtype::uint32), out = empty({n}, Dtype::int64);
    draw_there(cuda::Distribution::Upto, places, 2, generator, {});
    cuda::exchange_in_turn(out, places);
    return to(out, dtype);
  }
  Tensor out = arange(Scalar(0), Scalar(n), Scalar(1), Dtype::int64);
  if (out.is_meta()) return to(out, dtype);
  int64_t* order = out.data<int64_t>();
  const Tensor numbers = empty({n}, Dtype::int64);
  uint64_t* random = numbers.data<uint64_t>();
  draw(n, 2, generator, [&](const uint32_t* words, int64_t first, int64_t count) {
    for (int64_t i = 0; i < count; ++i) random[first + i] = wide(words + 2 * i);
  });
  const GilRelease release(n > kGilGrain);
  for (int64_t i = n - 1; i > 0; --i) {  // Fisher and Yates, by Durstenfeld 1964
    const int64_t j = int64_t(uint64_t((unsigned __int128)random[i] * uint64_t(i + 1) >> 64));
    std::swap(order[i], order[j]);
  }
  return to(out, dtype);
}

const Operator _rrelu_operator({.signature = "_rrelu(input, lower, upper)",
                                .forms = kPrivate,
                                .doc = "`leaky_relu` with slopes drawn from [lower, upper].",
                                .forward = [](const Tensor& t, double lower, double upper) {
                                  Tensor slopes = empty(t.shape(), t.dtype());
                                  fill_uniform(slopes, lower, upper, nullptr);
                                  return leaky_relu(t, slopes);
                                }});

}  // namespace flambeau
