// The derivative of a beta variate x with respect to its first concentration a, for a fixed underlying uniform number.
// It is computed by implicit reparameterisation: dx/da = -(dI/da)(x; a, b) / density(x; a, b), where I is the
// regularised incomplete beta function.
#pragma once

#include <cmath>

#include "flambeau/kernels/gamma_slopes.h"

namespace flambeau::kernels {

// For large a and b, x is nearly normal, and the derivatives of its mean and standard deviation determine the slope.
// The relative error is of order 1 / (a + b).
inline double beta_slope_of_many(double a, double b, double x) {
  const double total = a + b, spread = 0.5 * (1 / a - 2 / total - 1 / (total + 1));
  return b / (total * total) + (x - a / total) * spread;
}

// Returns dx/da / (1 - x). The series I = x**a (1 - x)**b / (a B(a, b)) sum (a + b)_n / (a + 1)_n x**n is
// differentiated term by term and divided by the density. Above the mean, the same series of 1 - I in powers of 1 - x
// is used, so that all terms have the same sign. If the base of the powers is near 1, the other series is used, because
// it is shorter.
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
