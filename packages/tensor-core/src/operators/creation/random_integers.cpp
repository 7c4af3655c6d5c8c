// Bernoulli trials, random integers, permutations, and the slopes of rrelu.
#include <algorithm>
#include <cmath>
#include <optional>
#include <sstream>

#include "flambeau/interpreter.h"
#include "flambeau/operator.h"
#include "flambeau/pointwise/activations.h"
#include "operators/creation/random_draws.h"
#include "tasks/sample_errors.h"

namespace flambeau {

using namespace drawing;

void fill_bernoulli(const Tensor& t, double p, Generator* generator) {
  require(p >= 0 && p <= 1, "bernoulli_ expects p to be in [0, 1], but got p=", p);
  const uint64_t threshold = uint64_t(p * 0x1p53);
  in_place(
      t, "bernoulli_", "Bernoulli", generator,
      [&](const Tensor& out, PyTorchStream& stream) { pytorch::fill_bernoulli(stream, out, p); },
      [&](const Tensor& out) {
        if (cuda::runs_on_gpu(out)) return draw_on_gpu(cuda::Distribution::Bernoulli, out, 2, generator, {}, threshold);
        dispatch(same_bits(out.dtype()), [&](auto tag) {
          using T = typename decltype(tag)::type;
          draw(out.numel(), 2, generator, [&](const uint32_t* words, int64_t first, int64_t n) {
            T* to = out.data<T>() + first;
            const T one = convert<T>(1.0f), zero = convert<T>(0.0f);
            for (int64_t i = 0; i < n; ++i) to[i] = (uint64_of(words + 2 * i) >> 11) < threshold ? one : zero;
          });
        });
      });
}

namespace {

bool all_probabilities(const Tensor& p) {
  if (!p.is_contiguous() || p.numel() > 4096 || cuda::runs_on_gpu(p))
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
    const Tensor probabilities = to(p, Dtype::float64);
    const bool reported =
        cuda::runs_on_gpu(probabilities) && cuda::runs_on_gpu(t);  // the kernel reports invalid probabilities
    require(p.is_meta() || reported || all_probabilities(probabilities), WrongProbability{});
    wanted = p.shape() == t.shape() ? contiguous(probabilities) : contiguous(expand(probabilities, t.shape()));
  }
  const auto from_stream = [&](const Tensor& out, PyTorchStream& stream) {
    const Tensor given = expand(detach(p), t.shape());
    pytorch::fill_bernoulli(stream, out,
                            contiguous(t.is_contiguous() ? given : permute(given, pytorch::memory_order(t))));
  };
  in_place(t, "bernoulli_", "Bernoulli", generator, from_stream, [&](const Tensor& out) {
    if (cuda::runs_on_gpu(out))
      return draw_on_gpu(cuda::Distribution::BernoulliOf, out, 2, generator, {}, 0, 0, wanted);
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

namespace {

// Warns if a bound exceeds 2**digits, beyond which a floating dtype does not represent all integers.
void warn_where_inexact(const char* bound, int64_t value, Dtype dtype) {
  if (!is_floating(dtype)) return;
  const int digits = dtype_limits(dtype).digits;
  const int64_t limit = int64_t(1) << digits;
  if (-limit <= value && value <= limit) return;
  std::ostringstream text;
  text << "random_(): " << bound << " is out of bounds [-(2^" << digits << "), 2^" << digits << "], the range in which "
       << dtype << " represents every integer, so the numbers are not uniformly distributed; got " << value;
  warn(text.str());
}

}  // namespace

void fill_integers(const Tensor& t, int64_t low, int64_t high, Generator* generator) {
  require(low < high, "random_ expects 'from' to be less than 'to', but got from=", low, " >= to=", high);
  if (pytorch::stream_for(t, generator)) {
    const auto bounds = pytorch::representable_bounds(low, high, t.dtype());
    require(bounds.low < bounds.high,
            "random_ expects 'from' casted to dtype to be less than 'to' casted to dtype, but "
            "got from=",
            bounds.low, " >= to=", bounds.high);
    low = bounds.low, high = bounds.high;
  }
  const auto representable = [&](int64_t v) {
    if (is_floating(t.dtype())) return std::abs(double(v)) <= dtype_limits(t.dtype()).largest;
    if (t.dtype() == Dtype::bool_) return v == 0 || v == 1;
    return fits(Scalar(v), t.dtype()) && (v >= 0 || !is_unsigned(t.dtype()));
  };
  require(representable(low), "random_: from is out of bounds for ", t.dtype(), ", got ", low);
  require(representable(high - 1), "random_: to - 1 is out of bounds for ", t.dtype(), ", got ", high - 1);
  warn_where_inexact("from", low, t.dtype());
  warn_where_inexact("to - 1", high - 1, t.dtype());
  const uint64_t range = uint64_t(high) - uint64_t(low);
  in_place(
      t, "random_", "Random", generator,
      [&](const Tensor& out, PyTorchStream& stream) { pytorch::fill_integers(stream, out, low, range); },
      [&](const Tensor& out) {
        if (cuda::runs_on_gpu(out))
          return draw_on_gpu(cuda::Distribution::Integers, out, 2, generator, {}, uint64_t(low), range);
        dispatch(same_bits(out.dtype()), [&](auto tag) {
          using T = typename decltype(tag)::type;
          draw(out.numel(), 2, generator, [&](const uint32_t* words, int64_t first, int64_t n) {
            T* to = out.data<T>() + first;
            for (int64_t i = 0; i < n; ++i)  // the high word of the product is below `range`
              to[i] = convert<T>(low + int64_t(uint64_t((unsigned __int128)uint64_of(words + 2 * i) * range >> 64)));
          });
        });
      });
}

namespace {

// Returns the exclusive upper bound of the numbers that random_() draws. For an integer dtype it is one more than the
// largest number, but at most 2**63 - 1. For a floating dtype it is 2**digits + 1, as the dtype represents all integers
// up to 2**digits.
int64_t whole_numbers(Dtype d) {
  require<NotImplementedError>(!is_complex(d), "\"random_\" not implemented for '", d, "'");
  switch (d) {
    case Dtype::bool_:
      return 2;
    case Dtype::uint8:
    case Dtype::uint16:
    case Dtype::uint32:
      return int64_t(1) << (8 * item_size(d));
    case Dtype::float16:
      return (1 << 11) + 1;
    case Dtype::bfloat16:
      return (1 << 8) + 1;
    case Dtype::float32:
      return (1 << 24) + 1;
    case Dtype::float64:
      return (int64_t(1) << 53) + 1;
    default:
      return int64_t((uint64_t(1) << (8 * item_size(d) - 1)) - (item_size(d) == 8));
  }
}

}  // namespace

void fill_whole_numbers(const Tensor& t, std::optional<int64_t> low, Generator* generator) {
  const int64_t high = whole_numbers(t.dtype());
  const bool is_long = t.dtype() == Dtype::int64;
  if ((low && !is_long) || !pytorch::stream_for(t, generator))
    return fill_integers(t, low.value_or(0), high, generator);
  const auto from_stream = [&](const Tensor& out, PyTorchStream& stream) {
    if (!low) return pytorch::fill_whole_numbers(stream, out);
    const uint64_t range = uint64_t(high) + 1 - uint64_t(*low);
    pytorch::fill_integers(stream, out, range ? *low : 0, range);
  };
  in_place(t, "random_", "Random", generator, from_stream, [](const Tensor&) {});
}

Tensor random_permutation(int64_t n, Dtype dtype, Generator* generator) {
  require(n >= 0, "randperm: n must be non-negative, got ", n);
  require<NotImplementedError>(dtype != Dtype::bool_, "randperm is not implemented for bool");
  const int64_t largest = is_floating(dtype) ? (int64_t(1) << dtype_limits(dtype).digits) + 1 : n;
  require(n <= largest && (n == 0 || fits(Scalar(n - 1), dtype)), "randperm: n=", n, " is too large for ", dtype);
  if (OnDevice::current() == DeviceType::Cuda) {
    const Tensor partners = empty({n}, Dtype::uint32), out = empty({n}, Dtype::int64);
    draw_on_gpu(cuda::Distribution::Upto, partners, 2, generator, {});
    cuda::exchange_sequentially(out, partners);
    return to(out, dtype);
  }
  if (OnDevice::current() == DeviceType::Cpu)
    if (PyTorchStream* const stream = (generator ? *generator : default_generator()).pytorch_stream())
      return to(pytorch::permutation(*stream, n), dtype);
  Tensor out = arange(Scalar(0), Scalar(n), Scalar(1), Dtype::int64);
  if (out.is_meta()) return to(out, dtype);
  int64_t* order = out.data<int64_t>();
  const Tensor numbers = empty({n}, Dtype::int64);
  uint64_t* random = numbers.data<uint64_t>();
  draw(n, 2, generator, [&](const uint32_t* words, int64_t first, int64_t count) {
    for (int64_t i = 0; i < count; ++i) random[first + i] = uint64_of(words + 2 * i);
  });
  const GilRelease release(n > kGilGrain);
  for (int64_t i = n - 1; i > 0; --i) {  // Fisher-Yates shuffle, Durstenfeld 1964
    const int64_t j = int64_t(uint64_t((unsigned __int128)random[i] * uint64_t(i + 1) >> 64));
    std::swap(order[i], order[j]);
  }
  return to(out, dtype);
}

const Operator _rrelu_operator({.signature = "_rrelu(input, lower, upper)",
                                .forms = kPrivate,
                                .doc = "Apply `leaky_relu` with random slopes in [lower, upper].",
                                .forward = [](const Tensor& t, double lower, double upper) {
                                  if (PyTorchStream* const stream = pytorch::stream_for(t, nullptr)) {
                                    const Tensor x = contiguous(detach(t));
                                    return leaky_relu(t, pytorch::negative_slopes(*stream, x, lower, upper));
                                  }
                                  Tensor slopes = empty(t.shape(), t.dtype());
                                  fill_uniform(slopes, lower, upper, nullptr);
                                  return leaky_relu(t, slopes);
                                }});

}  // namespace flambeau
