// Samplers that reject or search: each element draws from a stream of its own. Note [Element streams]
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "flambeau/gamma_variates.h"
#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "kernels/random_stream.h"

namespace flambeau {

namespace {

using kernels::ElementStream;

// out[i] = sample(stream of i, inputs of i...), in double; recorded with a derivative of zero in every input.
template <class F>
Tensor sample_each(const Shape& shape, Dtype dtype, Generator* generator, F&& sample) {
  Generator& g = generator ? *generator : default_generator();
  const uint64_t seed = g.seed(), offset = g.reserve(kernels::kStreamGroups);
  const Tensor out = empty(shape, Dtype::float64);
  double* to = out.data<double>();
  parallel_for(out.numel(), 512, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      ElementStream stream(seed, offset, uint64_t(i));
      to[i] = sample(stream, i);
    }
  });
  return flambeau::to(out, dtype);
}

Tensor in_double(const Tensor& t) {
  NoRecording off;
  return contiguous(to(t, Dtype::float64));
}

Tensor zeros_of(const Tensor& t) { return zeros(t.shape(), t.dtype()); }

// Transformed rejection with squeeze: Hoermann 1993, "The transformed rejection method for generating Poisson random
// variables", algorithm PTRS.
double poisson_above_ten(ElementStream& stream, double rate) {
  const double b = 0.931 + 2.53 * std::sqrt(rate), a = -0.059 + 0.02483 * b, log_rate = std::log(rate),
               inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), v_r = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    const double u = stream.uniform() - 0.5, v = stream.uniform(), us = 0.5 - std::abs(u);
    const double k = std::floor((2 * a / us + b) * u + rate + 0.43);
    if (us >= 0.07 && v <= v_r) return k;
    if (k < 0 || (us < 0.013 && v > us)) continue;
    if (std::log(v * inverse_alpha / (a / (us * us) + b)) <= k * log_rate - rate - std::lgamma(k + 1)) return k;
  }
}

double poisson_one(ElementStream& stream, double rate) {
  if (!std::isfinite(rate)) return rate;
  if (rate >= 10) return poisson_above_ten(stream, rate);
  double u = stream.uniform(), probability = std::exp(-rate), k = 0;  // the inverse of the distribution by search
  while (u > probability && probability > 0) {
    u -= probability;
    probability *= rate / ++k;
  }
  return k;
}

// log(n! / (sqrt(2 pi n) (n/e)**n)), Stirling's error, for the acceptance test below.
double stirling_error(double n) {
  constexpr double table[] = {0.0810614667953272,  0.0413406959554092, 0.0276779256849983, 0.02079067210376509,
                              0.0166446911898211,  0.0138761288230707, 0.0118967099458917, 0.0104112652619720,
                              0.00925546218271273, 0.00833056343336287};
  if (n >= 0 && n <= 9 && n == std::floor(n)) return table[int(n)];
  const double square = (n + 1) * (n + 1);
  return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (n + 1);
}

// Hoermann 1993, "The generation of binomial random variates", algorithm BTRS; p <= 1/2 and n p >= 10.
double binomial_large(ElementStream& stream, double n, double p) {
  const double deviation = std::sqrt(n * p * (1 - p)), b = 1.15 + 2.53 * deviation, a = -0.0873 + 0.0248 * b + 0.01 * p,
               c = n * p + 0.5, v_r = 0.92 - 4.2 / b, ratio = p / (1 - p), alpha = (2.83 + 5.1 / b) * deviation,
               mode = std::floor((n + 1) * p);
  for (;;) {
    const double u = stream.uniform() - 0.5, us = 0.5 - std::abs(u), k = std::floor((2 * a / us + b) * u + c);
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

double binomial_one(ElementStream& stream, double n, double p) {
  if (std::isnan(n) || std::isnan(p)) return std::nan("");
  if (n <= 0 || p <= 0) return 0;
  if (p >= 1) return n;
  if (p > 0.5) return n - binomial_one(stream, n, 1 - p);
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

// Marsaglia and Tsang 2000, "A simple method for generating gamma variables", for concentrations of at least 1.
double gamma_from_one(ElementStream& stream, double concentration) {
  const double d = concentration - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const auto [x, u] = stream.trial();
    const double w = 1 + c * x;
    if (w <= 0) continue;
    const double v = w * w * w, square = x * x;
    if (u < 1 - 0.0331 * square * square || std::log(u) < 0.5 * square + d * (1 - v + std::log(v))) return d * v;
  }
}

// Below 1 by gamma(a + 1) * u**(1 / a).
double gamma_one(ElementStream& stream, double concentration) {
  if (std::isnan(concentration) || concentration <= 0 || std::isinf(concentration)) return concentration;
  if (concentration >= 1) return gamma_from_one(stream, concentration);
  const double scale = std::pow(stream.uniform(), 1 / concentration);
  return scale * gamma_from_one(stream, concentration + 1);
}

double log_gamma_one(ElementStream& stream, double concentration) {
  if (!(concentration > 0 && std::isfinite(concentration))) return std::log(concentration);
  if (concentration >= 1) return std::log(gamma_from_one(stream, concentration));
  const double log_scale = std::log(stream.uniform()) / concentration;
  return log_scale + std::log(gamma_from_one(stream, concentration + 1));
}

// The smallest positive number that dtype holds with all its digits.
double smallest_normal(Dtype dtype) {
  if (dtype == Dtype::float64) return std::numeric_limits<double>::min();
  return dtype == Dtype::float16 ? 0x1p-14 : double(std::numeric_limits<float>::min());
}

}  // namespace

Tensor poisson(const Tensor& rate, Generator* generator) {
  require<NotImplementedError>(is_floating(rate.dtype()), "poisson is implemented for floating-point rates, got ",
                               rate.dtype());
  const Tensor rates = in_double(rate);
  const double* r = rates.data<double>();
  for (int64_t i = 0; i < rates.numel(); ++i)
    require(r[i] >= 0, "invalid Poisson rate, expected rate to be non-negative, got ", r[i]);
  Tensor out = sample_each(rate.shape(), rate.dtype(), generator,
                           [=](ElementStream& stream, int64_t i) { return poisson_one(stream, r[i]); });
  if (recording(rate)) record("Poisson", out, {&rate}, {}, [](const Context& c) { c.set(0, zeros_of(c.gradient())); });
  return out;
}

Tensor binomial(const Tensor& count, const Tensor& prob, Generator* generator) {
  for (const auto& [name, t] : {std::pair("count", &count), std::pair("prob", &prob)})
    require<ValueError>(is_floating(t->dtype()), "binomial only supports floating-point dtypes for ", name,
                        ", got: ", t->dtype());
  require(count.dtype() == prob.dtype(), "binomial: count and prob must have one dtype, found ", count.dtype(), " and ",
          prob.dtype());
  const Shape shape = broadcast(count.shape(), prob.shape());
  const Tensor counts = in_double(expand(detach(count), shape)), probs = in_double(expand(detach(prob), shape));
  const double *n = counts.data<double>(), *p = probs.data<double>();
  Tensor out = sample_each(shape, count.dtype(), generator,
                           [=](ElementStream& stream, int64_t i) { return binomial_one(stream, n[i], p[i]); });
  if (recording(count, prob))
    record("Binomial", out, {&count, &prob}, {}, [](const Context& c) {
      for (int i : {0, 1})
        if (c.needs(i)) c.set(i, zeros_of(c.gradient()));
    });
  return out;
}

Tensor standard_gamma(const Tensor& concentration, Generator* generator) {
  require<NotImplementedError>(is_floating(concentration.dtype()),
                               "_standard_gamma is implemented for floating-point tensors, got ",
                               concentration.dtype());
  const Tensor alphas = in_double(concentration);
  const double* a = alphas.data<double>();
  const double tiny = smallest_normal(concentration.dtype());
  Tensor out =
      sample_each(concentration.shape(), concentration.dtype(), generator, [=](ElementStream& stream, int64_t i) {
        const double value = gamma_one(stream, a[i]);
        return value < tiny ? tiny : value;  // NaN stays
      });
  if (recording(concentration))
    record("StandardGamma", out, {&concentration}, {&concentration, &out},
           [](const Context& c) { c.set(0, mul(c.gradient(), standard_gamma_grad(c.saved(0), c.saved(1)))); });
  return out;
}

Tensor standard_log_gamma(const Tensor& concentration, Generator* generator) {
  require<NotImplementedError>(is_floating(concentration.dtype()),
                               "_standard_log_gamma is implemented for floating-point tensors, got ",
                               concentration.dtype());
  const Tensor alphas = to(concentration, Dtype::float64), drawn = in_double(concentration);
  const double* a = drawn.data<double>();
  Tensor out = sample_each(concentration.shape(), Dtype::float64, generator,
                           [=](ElementStream& stream, int64_t i) { return log_gamma_one(stream, a[i]); });
  if (recording(alphas))
    record("StandardLogGamma", out, {&alphas}, {&alphas, &out},
           [](const Context& c) { c.set(0, mul(c.gradient(), standard_log_gamma_grad(c.saved(0), c.saved(1)))); });
  return out;
}

Tensor sample_dirichlet(const Tensor& concentration, Generator* generator) {
  require(concentration.dim() > 0, "_sample_dirichlet: the concentrations need a dimension");
  const Dtype dtype = concentration.dtype();
  const Tensor point = to(softmax(standard_log_gamma(concentration, generator), -1, {}), dtype);
  // Where a density may be infinite or none: not at 0, and not at 1 but for its last digit.
  const double last = dtype == Dtype::float64   ? 0x1p-53
                      : dtype == Dtype::float32 ? 0x1p-24
                      : dtype == Dtype::float16 ? 0x1p-11
                                                : 0x1p-8;
  return clamp_max(clamp_min(point, smallest_normal(dtype)), 1 - last);
}

}  // namespace flambeau
