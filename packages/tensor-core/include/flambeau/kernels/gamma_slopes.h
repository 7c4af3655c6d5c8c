// The derivative of a gamma variate z with respect to its concentration a, for a fixed underlying uniform number, on
// the CPU and on GPUs. It is computed by implicit reparameterisation (Figurnov, Mohamed, Mnih 2018, arXiv:1805.08498):
// if P is the regularised lower incomplete gamma function, dz/da = -(dP/da)(a, z) / density(a, z).
#pragma once

#include <cmath>

namespace flambeau::kernels {

inline double gamma_digamma(double x) {  // for x > 0: recurrence up to at least 10, then the asymptotic series
  double shift = 0;
  for (; x < 10; ++x) shift -= 1 / x;
  const double s = 1 / (x * x);
  return shift + std::log(x) - 0.5 / x - s * (1.0 / 12 - s * (1.0 / 120 - s * (1.0 / 252 - s * (1.0 / 240 - s / 132))));
}

// Returns d log z / da. The series P = e**-z sum z**(a + k) / gamma(a + k + 1) is differentiated term by term and
// divided by z and the density.
inline double by_series(double a, double log_z) {
  const double z = std::exp(log_z);
  double weight = 1 / a, psi = gamma_digamma(a + 1), sum = 0;
  for (int k = 0; k < 100'000; ++k) {
    const double term = weight * (log_z - psi);
    sum += term;
    if (a + k > z && std::fabs(term) <= 1e-17 * std::fabs(sum)) break;
    psi += 1 / (a + k + 1);
    weight *= z / (a + k + 1);
  }
  return -sum;
}

// Returns d log z / da for large a, from z = a lambda(eta) with eta = eta0 + epsilon(eta0) / a, where eta0 sqrt(a) does
// not depend on a: Temme 1992, "Asymptotic inversion of incomplete gamma functions", to first order.
inline double by_inversion(double a, double log_z) {
  const double lambda = std::exp(log_z) / a, mu = lambda - 1;
  double half_square = mu - std::log1p(mu);
  if (std::fabs(mu) < 0.02) {  // a series, because the expression above loses digits by cancellation
    half_square = 0;
    double power = mu;
    for (int k = 2; k < 14; ++k) half_square += (k % 2 ? -1 : 1) * (power *= mu) / k;
  }
  const double eta = std::copysign(std::sqrt(2 * half_square), mu), ratio = mu == 0 ? 1 : eta / mu;
  const auto epsilon = [&](double e) {
    return std::fabs(e) < 0.02 ? -1.0 / 3 + e / 36 + e * e / 1620 : std::log(ratio) / eta + (e - eta) / 36;
  };
  double eta0 = eta;
  for (int step = 0; step < 3; ++step) eta0 = eta - epsilon(eta0) / a;
  const double slope = -eta0 / (2 * a) * (1 + (1.0 / 36 + eta0 / 810) / a) - epsilon(eta0) / (a * a);
  return 1 / a + ratio * slope;
}

inline double log_slope(double a, double log_z) { return a > 1000 ? by_inversion(a, log_z) : by_series(a, log_z); }

// Returns dz/da for a sample z, or d log z / da if the sample is log z.
inline double gamma_slope(double a, double sample, bool logarithm) {
  return logarithm ? log_slope(a, sample) : sample * log_slope(a, std::log(sample));
}

}  // namespace flambeau::kernels
