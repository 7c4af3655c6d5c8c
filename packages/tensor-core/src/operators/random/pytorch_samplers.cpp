// Rejection samplers with PyTorch's generator. T is the dtype of the parameters. PyTorch computes some samplers in
// float32, which determines how results are rounded.
#include <cmath>
#include <limits>

#include "flambeau/kernels/samplers.h"
#include "operators/random/pytorch_order.h"
#include "operators/random/stream_words.h"

namespace flambeau::pytorch {

namespace {

using Draws = PyTorchStream::Draws;

// Computes out[i] = sample(draws, i), one element after the other.
template <class T, class F>
Tensor sample_each(PyTorchStream& stream, const Shape& shape, F&& sample) {
  const Tensor out = empty(shape, std::is_same_v<T, double> ? Dtype::float64 : Dtype::float32);
  T* to = out.data<T>();
  const GilRelease release(out.numel() > kHeavyGrain);
  Draws draws(stream);
  for (int64_t i = 0; i < out.numel(); ++i) to[i] = T(sample(draws, i));
  return out;
}

template <class F>
Tensor with_type_of(const Tensor& t, F&& f) {
  return t.dtype() == Dtype::float64 ? f(double()) : f(float());
}

double poisson_one(Draws& draws, double rate) {
  if (!std::isfinite(rate)) return rate;
  if (rate >= 10) return kernels::poisson_above_ten(draws, rate);
  if (rate == 0) return 0;
  const double limit = std::exp(-rate);
  double product = draws.uniform(), count = 0;  // multiply uniform numbers until the product is at most `limit` (Knuth)
  for (; product > limit; product *= draws.uniform()) ++count;
  return count;
}

// Samples the gaps between successes, which have a geometric distribution.
template <class T>
T binomial_by_gaps(Draws& draws, T count, T prob) {
  const double log_failure = std::log1p(-prob);
  double at = 0;
  T successes = 0;
  for (;;) {
    at += std::ceil(std::log(draws.uniform()) / log_failure);
    if (at > count) return successes;
    successes += 1;
  }
}

// Samples by the algorithm BTRS of Hoermann 1993, "The generation of binomial random variates".
template <class T>
T binomial_large(Draws& draws, T count, T prob) {
  using kernels::stirling_error;
  const double deviation = std::sqrt(count * prob * (1 - prob)), b = 1.15 + 2.53 * deviation,
               a = -0.0873 + 0.0248 * b + 0.01 * prob, c = count * prob + 0.5, v_r = 0.92 - 4.2 / b,
               ratio = prob / (1 - prob), alpha = (2.83 + 5.1 / b) * deviation, mode = std::floor((count + 1) * prob);
  for (;;) {
    const double u = draws.uniform() - 0.5, us = 0.5 - std::fabs(u);
    double v = draws.uniform();
    const T k = T(std::floor((2 * a / us + b) * u + c));
    if (k < 0 || k > count) continue;
    if (us >= 0.07 && v <= v_r) return k;
    v = std::log(v * alpha / (a / (us * us) + b));
    const double bound = (mode + 0.5) * std::log((mode + 1) / (ratio * (count - mode + 1))) +
                         (count + 1) * std::log((count - mode + 1) / (count - k + 1)) +
                         (k + 0.5) * std::log(ratio * (count - k + 1) / (k + 1)) + stirling_error(mode) +
                         stirling_error(count - mode) - stirling_error(k) - stirling_error(count - k);
    if (v <= bound) return k;
  }
}

template <class T>
T binomial_one(Draws& draws, T count, T prob) {
  if (count <= 0 || prob <= 0) return 0;
  if (prob >= 1) return count;
  if (std::isnan(prob) || !std::isfinite(count)) return std::numeric_limits<T>::quiet_NaN();
  const T rarer = prob <= T(0.5) ? prob : T(1.0 - prob);
  const T successes = count * rarer >= 10 ? binomial_large(draws, count, rarer) : binomial_by_gaps(draws, count, rarer);
  return prob <= T(0.5) ? successes : count - successes;
}

// Samples by the algorithm of Marsaglia and Tsang 2000, "A simple method for generating gamma variables". For
// concentrations a below 1, the result is a sample for a + 1 times u**(1 / a). PyTorch's constants are float32.
template <class T>
T gamma_one(Draws& draws, T concentration) {
  if (!(concentration > 0 && std::isfinite(concentration))) return concentration;
  double scale = 1;
  if (concentration < 1) {
    scale = std::pow(1 - draws.uniform(), 1.0f / concentration);
    concentration += 1;
  }
  const double d = concentration - 1.0f / 3.0f, c = 1 / std::sqrt(9 * d);
  for (;;) {
    double x, w;
    do {
      x = draws.normal();
      w = 1 + c * x;
    } while (w <= 0);
    const double v = w * w * w, u = 1 - draws.uniform(), square = x * x;
    if (u < 1 - 0.0331f * square * square) return T(scale * d * v);
    if (std::log(u) < 0.5 * square + d * (1 - v + std::log(v))) return T(scale * d * v);
  }
}

}  // namespace

Tensor poisson(PyTorchStream& stream, const Tensor& rate) {
  return with_type_of(rate, [&](auto type) {
    using T = decltype(type);
    const T* rates = rate.data<T>();
    return sample_each<T>(stream, rate.shape(), [=](Draws& d, int64_t i) { return poisson_one(d, double(rates[i])); });
  });
}

Tensor binomial(PyTorchStream& stream, const Tensor& count, const Tensor& prob) {
  return with_type_of(count, [&](auto type) {
    using T = decltype(type);
    const T *counts = count.data<T>(), *probs = prob.data<T>();
    return sample_each<T>(stream, count.shape(),
                          [=](Draws& d, int64_t i) { return binomial_one(d, counts[i], probs[i]); });
  });
}

Tensor standard_gamma(PyTorchStream& stream, const Tensor& concentration) {
  return with_type_of(concentration, [&](auto type) {
    using T = decltype(type);
    const T* alphas = concentration.data<T>();
    return sample_each<T>(stream, concentration.shape(), [=](Draws& d, int64_t i) {
      const T value = gamma_one(d, alphas[i]);
      return value < std::numeric_limits<T>::min() ? std::numeric_limits<T>::min() : value;  // NaN stays NaN
    });
  });
}

}  // namespace flambeau::pytorch
