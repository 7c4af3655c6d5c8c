// The logarithm of |gamma(x)|, in double for both types. Up to 10, it is computed by recurrence from [1.5, 2.5], where
// log(gamma(2 + u)) is u (1 + u) times a polynomial in u, fitted with 40 digits. Above 10, it is computed by Stirling's
// series.
#pragma once

#include "flambeau/kernels/math/unbounded.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// The smallest argument of the recurrence. For smaller arguments, the C library's function is used (see Unbounded).
inline constexpr double kMinLogGamma = -10;

namespace series {

// Computes the logarithm with the accuracy that results of type V need.
template <class V>
FLAMBEAU_INLINE double log_for(double x) {
  if constexpr (sizeof(V) == 8) return log(x);
  constexpr double q[] = {2.0000000000084019, 0.66666665241712391, 0.4000038585087392, 0.28534976254586906,
                          0.23617811358975918};
  const Split parts = split(x);
  const double s = (parts.mantissa - 1.0) / (parts.mantissa + 1.0);
  return x == 0.0 ? -INFINITY : parts.exponent * 0.6931471805599453 + s * polynomial(s * s, q);
}
template <class V>
FLAMBEAU_INLINE double lgamma_about_two(double u) {
  if constexpr (sizeof(V) == 4) {
    constexpr double q[] = {0.42278433509729015,    -0.10031730167072541,    0.032965000958422237,
                            -0.012384192597570004,  0.0049986255361249944,   -0.0021081179969356715,
                            0.00091564085542971278, -0.00040588147187849452, 0.00018055189178932071,
                            -8.1956187532683725e-5, 4.503804119982784e-5,    -2.1172072578185957e-5};
    return u * (1.0 + u) * polynomial(u, q);
  } else {
    constexpr double q[] = {
        0.42278433509846714,    -0.10031730167435392,   0.032965000621155867,   -0.012384192193371355,
        0.0049986411646918866,  -0.0021081308339491507, 0.00091537692252802143, -0.00040570739777042535,
        0.00018255263193523975, -8.3095120626357408e-5, 3.8168995030035366e-5,  -1.7661750083179031e-5,
        8.2212400047481733e-6,  -3.8467269895920489e-6, 1.8133549578469549e-6,  -8.5599311216050039e-7,
        3.8635445198597011e-7,  -1.8229839429968167e-7, 1.2214643213741008e-7,  -5.9204052146984802e-8};
    return u * (1.0 + u) * polynomial(u, q);
  }
}
// Returns the product of (x + step * k) over the integers k from 0 to count - 1.
template <int k>
FLAMBEAU_INLINE double product_of_steps(double x, double step, double count) {
  if constexpr (k < 0)
    return 1.0;
  else
    return product_of_steps<k - 1>(x, step, count) * (double(k) < count ? x + step * double(k) : 1.0);
}
template <class V>
FLAMBEAU_INLINE double lgamma(double x) {
  constexpr double stirling[] = {8.3333333333333333e-2,  -2.7777777777777778e-3, 7.9365079365079365e-4,
                                 -5.9523809523809524e-4, 8.4175084175084175e-4,  -1.9175269175269175e-3,
                                 6.4102564102564103e-3};
  const bool far = x > 10.0, up = x < 1.5;
  const double from = within(x, kMinLogGamma, 10.0), step = up ? 1.0 : -1.0, first = up ? from : from - 1.0;
  const double count = std::ceil(within((1.5 - first) * step, 0.0, 12.0));
  const double factors = product_of_steps<11>(first, step, count), u = first + step * count - (up ? 2.0 : 1.0);
  const double z = far ? x : 10.0, inverse = 1.0 / z, logarithm = log_for<V>(far ? x : std::fabs(factors));
  const double near = lgamma_about_two<V>(u) + (up ? -logarithm : logarithm);
  const double series = inverse * polynomial(inverse * inverse, stirling);
  const double beyond = z * (logarithm - 1.0) + ((0.91893853320467274 - 0.5 * logarithm) + series);
  return x != x ? x : (x == INFINITY ? x : (far ? beyond : near));
}

}  // namespace series

template <class T>
Unbounded<T> lgamma(Unbounded<T> x) {
  int sign;
  return x.value == -INFINITY ? T(INFINITY) : T(::lgamma_r(double(x.value), &sign));
}
FLAMBEAU_INLINE float lgamma(float x) { return static_cast<float>(series::lgamma<float>(x)); }
FLAMBEAU_INLINE double lgamma(double x) { return series::lgamma<double>(x); }

// The name under which operators of other families use lgamma.
template <class V>
  requires std::is_floating_point_v<V>
FLAMBEAU_INLINE V log_of_gamma(V x) {
  return lgamma(x);
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
