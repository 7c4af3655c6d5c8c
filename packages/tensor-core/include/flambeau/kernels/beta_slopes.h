// How a beta variate moves with its first concentration, the underlying uniform number held fixed: implicit
// reparameterisation, dx/da = -(dI/da)(x; a, b) / density(x; a, b) with the regularised incomplete beta function I.
#pragma once

#include <cmath>

#include "flambeau/kernels/gamma_slopes.h"

namespace flambeau::kernels {

// For large a and b: a normal variate's mean and deviation move. The relative error is of order 1 / (a + b).
inline double beta_slope_of_many(double a, double b, double x) {
  const double total = a + b, spread = 0.5 * (1 / a - 2 / total - 1 / (total + 1));
  return b / (total * total) + (x - a / total) * spread;
}

// dx/da / (1 - x). From I = x**a (1 - x)**b / (a B(a, b)) sum (a + b)_n / (a + 1)_n x**n, differentiated term by term
// and divided by the density, or from the same series of 1 - I in 1 - x. All terms have one sign in the first below the
// mean and in the second above it; of a base near 1 the series would be long.
inline double beta_slope(double a, double b, double x) {
  if (!(b > 0) || x >= 1) return 0;
  if ((a < b ? a : b) > 1e6) return beta_slope_of_many(a, b, x) / (1 - x);
  const double y = 1 - x, log_x = x < 0.5 ? std::log(x) : std::log1p(-y);
  bool lower = x * (a + b + 2) <= a + 1;
  if ((lower ? x : y) > 0.9) lower = !lower;
  const double base = lower ? x : y, first = lower ? a : b;
  double above = gamma_digamma(a + b), below = gamma_digamma(lower ? a + 1 : a), weight = 1, sum = 0;
  for (int n = 0; n < 100'000; ++n) {
    const double term = weight * (log_x + above - below), ratio = (a + b + n) / (first + 1 + n) * base;
    sum += term;
    if (ratio < 1 && std::fabs(term) * ratio <= 1e-17 * std::fabs(sum) * (1 - ratio)) break;
    above += 1 / (a + b + n);
    if (lower) below += 1 / (a + 1 + n);
    weight *= ratio;
  }
  return lower ? -x / a * sum : x / b * sum;
}

}  // namespace flambeau::kernels
