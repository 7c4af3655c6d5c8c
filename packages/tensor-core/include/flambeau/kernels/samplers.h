// Samplers that use rejection or search, on the CPU and on GPUs. Each element has a separate stream of random numbers.
// The samplers compute in double. Note [Element streams]
#pragma once

#include <cmath>
#include <limits>

#include "flambeau/kernels/random_stream.h"

namespace flambeau::kernels {

// Returns true for valid rates: non-negative and not NaN.
inline bool is_rate(double x) { return x >= 0; }
inline bool is_weight(double x) { return x >= 0 && x <= std::numeric_limits<double>::max(); }

// Samples by transformed rejection with squeeze: Hoermann 1993, "The transformed rejection method for generating
// Poisson random variables", algorithm PTRS.
template <class Stream>
double poisson_above_ten(Stream& stream, double rate) {
  const double b = 0.931 + 2.53 * std::sqrt(rate), a = -0.059 + 0.02483 * b, log_rate = std::log(rate),
               inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), v_r = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    const double u = stream.uniform() - 0.5, v = stream.uniform(), us = 0.5 - std::fabs(u);
    const double k = std::floor((2 * a / us + b) * u + rate + 0.43);
    if (us >= 0.07 && v <= v_r) return k;
    if (k < 0 || (us < 0.013 && v > us)) continue;
    if (std::log(v * inverse_alpha / (a / (us * us) + b)) <= k * log_rate - rate - std::lgamma(k + 1)) return k;
  }
}

inline double poisson_one(ElementStream& stream, double rate) {
  if (!std::isfinite(rate)) return rate;
  if (rate >= 10) return poisson_above_ten(stream, rate);
  double u = stream.uniform(), probability = std::exp(-rate), k = 0;  // inversion by sequential search
  while (u > probability && probability > 0) {
    u -= probability;
    probability *= rate / ++k;
  }
  return k;
}

// Returns log(m! / (sqrt(2 pi m) (m/e)**m)) for m = n + 1, the error of Stirling's formula. The acceptance test below
// uses it.
inline double stirling_error(double n) {
  constexpr double table[] = {0.0810614667953272,  0.0413406959554092, 0.0276779256849983, 0.02079067210376509,
                              0.0166446911898211,  0.0138761288230707, 0.0118967099458917, 0.0104112652619720,
                              0.00925546218271273, 0.00833056343336287};
  if (n >= 0 && n <= 9 && n == std::floor(n)) return table[int(n)];
  const double square = (n + 1) * (n + 1);
  return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (n + 1);
}

// Samples by transformed rejection for p <= 1/2 and n p >= 10: Hoermann 1993, "The generation of binomial random
// variates", algorithm BTRS.
inline double binomial_large(ElementStream& stream, double n, double p) {
  const double deviation = std::sqrt(n * p * (1 - p)), b = 1.15 + 2.53 * deviation, a = -0.0873 + 0.0248 * b + 0.01 * p,
               c = n * p + 0.5, v_r = 0.92 - 4.2 / b, ratio = p / (1 - p), alpha = (2.83 + 5.1 / b) * deviation,
               mode = std::floor((n + 1) * p);
  for (;;) {
    const double u = stream.uniform() - 0.5, us = 0.5 - std::fabs(u), k = std::floor((2 * a / us + b) * u + c);
    double v = stream.uniform();
    if (us >= 0.07 && v <= v_r) return k;
    if (k < 0 || k > n) continue;
    v = std::log(v * alpha / (a / (us * us) + b));
    const double bound = (mode + 0.5) * std::log((mode + 1) / (ratio * (n - mode + 1))) +
                         (n + 1) * std::log((n - mode + 1) / (n - k + 1)) +
                         (k + 0.5) * std::log(ratio * (n - k + 1) / (k + 1)) + stirling_error(mode) +
                         stirling_error(n - mode) - stirling_error(k) - stirling_error(n - k);
    if (v <= bound) return k;
  }
}

inline double binomial_below_half(ElementStream& stream, double n, double p) {
  if (!std::isfinite(n)) return n;
  n = std::floor(n);
  if (n * p >= 10) return binomial_large(stream, n, p);
  const double odds = p / (1 - p);
  double u = stream.uniform(), probability = std::exp(n * std::log1p(-p)), k = 0;
  while (u > probability && k < n) {
    u -= probability;
    ++k;
    probability *= odds * (n - k + 1) / k;
  }
  return k;
}

inline double binomial_one(ElementStream& stream, double n, double p) {
  if (std::isnan(n) || std::isnan(p)) return NAN;
  if (n <= 0 || p <= 0) return 0;
  if (p >= 1) return n;
  return p > 0.5 ? n - binomial_below_half(stream, n, 1 - p) : binomial_below_half(stream, n, p);
}

// Samples by rejection for concentrations of at least 1: Marsaglia and Tsang 2000, "A simple method for generating
// gamma variables".
inline double gamma_from_one(ElementStream& stream, double concentration) {
  const double d = concentration - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const auto [x, u] = stream.trial();
    const double w = 1 + c * x;
    if (w <= 0) continue;
    const double v = w * w * w, square = x * x;
    if (u < 1 - 0.0331 * square * square || std::log(u) < 0.5 * square + d * (1 - v + std::log(v))) return d * v;
  }
}

// Concentrations below 1 use gamma(a + 1) * u**(1 / a).
inline double gamma_one(ElementStream& stream, double concentration) {
  if (std::isnan(concentration) || concentration <= 0 || std::isinf(concentration)) return concentration;
  if (concentration >= 1) return gamma_from_one(stream, concentration);
  const double scale = std::pow(stream.uniform(), 1 / concentration);
  return scale * gamma_from_one(stream, concentration + 1);
}

inline double log_gamma_one(ElementStream& stream, double concentration) {
  if (!(concentration > 0 && std::isfinite(concentration))) return std::log(concentration);
  if (concentration >= 1) return std::log(gamma_from_one(stream, concentration));
  const double log_scale = std::log(stream.uniform()) / concentration;
  return log_scale + std::log(gamma_from_one(stream, concentration + 1));
}

// The distributions: their names, and the functions that draw a sample from the one or two parameters of an element.
#define FLAMBEAU_SAMPLERS(X)              \
  X(Poisson, poisson_one(stream, x))      \
  X(Binomial, binomial_one(stream, x, y)) \
  X(Gamma, gamma_one(stream, x))          \
  X(LogGamma, log_gamma_one(stream, x))

enum class Sampler : int {
#define FLAMBEAU_SAMPLER(name, expression) name,
  FLAMBEAU_SAMPLERS(FLAMBEAU_SAMPLER)
#undef FLAMBEAU_SAMPLER
};

#define FLAMBEAU_SAMPLER(name, expression)                                                               \
  struct name {                                                                                          \
    static constexpr Sampler kKind = Sampler::name;                                                      \
    static double one(ElementStream& stream, double x, [[maybe_unused]] double y) { return expression; } \
  };
FLAMBEAU_SAMPLERS(FLAMBEAU_SAMPLER)
#undef FLAMBEAU_SAMPLER

}  // namespace flambeau::kernels
