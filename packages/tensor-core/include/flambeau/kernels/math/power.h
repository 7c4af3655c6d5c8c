// x**y. In float32, 2**(y * log2(x)) is computed in double, so that the final rounding is the only error. In float64,
// the logarithm is a sum of two doubles.
#pragma once

#include "flambeau/kernels/math/logarithm.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

struct Pair {  // the sum of both; `low` is at most half a unit in the last place of `high`
  double high, low;
};
FLAMBEAU_INLINE Pair fast_sum(double a, double b) {  // |a| >= |b|
  const double sum = a + b;
  return {sum, (a - sum) + b};
}
#ifdef __FMA__
FLAMBEAU_INLINE Pair product(double a, double b) {
  const double p = a * b;
  return {p, std::fma(a, b, -p)};
}
#else
FLAMBEAU_INLINE Pair product(double a, double b) {  // exact, by the algorithm of Dekker 1971
  const double p = a * b, ah = high_part(a), al = a - ah, bh = high_part(b), bl = b - bh;
  return {p, ((ah * bh - p) + (ah * bl + al * bh)) + al * bl};
}
#endif
FLAMBEAU_INLINE Pair product(Pair a, double b) {
  const Pair p = product(a.high, b);
  return fast_sum(p.high, p.low + a.low * b);
}

// Returns log(x) for positive x, normal or subnormal: 2 atanh(s) plus exponent * ln(2), where s = (m - 1) / (m + 1) for
// the mantissa m.
FLAMBEAU_INLINE Pair log_pair(double x) {
  const Split parts = split(x);
  const double f = parts.mantissa - 1.0, below = parts.mantissa + 1.0, below_rest = f - (below - 2.0);
  const double inverse = 1.0 / below, s = f * inverse;
  const Pair back = product(s, below);
  const double s_rest = (((f - back.high) - back.low) - s * below_rest) * inverse;
  const Pair square = product(s, s);
  const double z = square.high, z_rest = square.low + 2.0 * s * s_rest;
  // s**2 / 3 is computed in two doubles; one double suffices for the terms from s**4 on.
  constexpr double q[] = {2.0e-1,
                          1.4285714285714285e-1,
                          1.1111111111111111e-1,
                          9.0909090909090912e-2,
                          7.6923076923076927e-2,
                          6.6666666666666666e-2,
                          5.8823529411764705e-2,
                          5.2631578947368418e-2,
                          4.7619047619047616e-2,
                          4.3478260869565216e-2};
  Pair third = product(z, 0.3333333333333333);
  third.low += z * 1.8503717077085943e-17 + z_rest * 0.3333333333333333 + z * z * polynomial(z, q);
  const Pair series = product(fast_sum(third.high, third.low), 2.0 * s), first = fast_sum(2.0 * s, series.high);
  const double first_rest = first.low + series.low + 2.0 * s_rest * (1.0 + third.high);
  const Pair whole = fast_sum(parts.exponent * kLn2High<double>, first.high);
  const double high = parts.exponent == 0.0 ? first.high : whole.high, low = parts.exponent == 0.0 ? 0.0 : whole.low;
  return fast_sum(high, low + (first_rest + parts.exponent * kLn2Low<double>));
}

// Returns x**y from magnitude = |x|**y. Sets the sign, and the value if x or y is zero, infinite or NaN.
template <class V>
FLAMBEAU_INLINE V power_limits(V x, V y, V magnitude) {
  const V a = std::fabs(x), half = y * V(0.5), infinite = V(INFINITY);
  const bool whole = std::rint(y) == y, odd = whole & (std::rint(half) != half), falling = y < V(0);
  V m = blend((a == V(0)) | (a == infinite), blend((a == V(0)) == falling, infinite, V(0)), magnitude);
  m = blend(std::fabs(y) == infinite, blend((a < V(1)) == falling, infinite, V(0)), m);
  m = blend((x < V(0)) & !whole & (a != infinite), V(NAN), m);
  m = blend(odd, std::copysign(m, x), m);
  m = blend((x != x) | (y != y), V(NAN), m);
  return blend((y == V(0)) | (x == V(1)) | ((x == V(-1)) & (std::fabs(y) == infinite)), V(1), m);
}

// Returns x**y for positive x, if both are finite.
FLAMBEAU_INLINE double usual_power(double x, double y) {
  const double bounded = within(y, -1e300, 1e300);
  const Pair l = log_pair(x), e = product(l, bounded);
  const double high = within(e.high, -760.0, 710.0), low = high == e.high ? e.low : 0.0;
  auto parts = exp_parts(high);
  parts.rest += low * (1.0 + (parts.first + parts.rest));
  return scale(one_more(parts), parts.whole);
}
// Computes x**y by minimax polynomials for log2 and 2**x in double, with errors of 1e-10 and 1e-9, so that the final
// rounding is the only significant error.
FLAMBEAU_INLINE float usual_power(float x, float y) {
  constexpr double log_of[] = {2.8853900817900482, 9.6179667336823093e-1, 5.7708358300700864e-1, 4.1167268734376856e-1,
                               3.4073299324245587e-1};
  constexpr double power_of[] = {1.0,
                                 6.931472067028326e-1,
                                 2.4022650922288758e-1,
                                 5.5503272266703021e-2,
                                 9.6180566785246381e-3,
                                 1.3400428177615838e-3,
                                 1.5461444698569129e-4};
  const Split parts = split_normal(x);
  const double s = (parts.mantissa - 1.0) / (parts.mantissa + 1.0);
  const double e = within(double(y) * (parts.exponent + s * polynomial(s * s, log_of)), -200.0, 200.0);
  const double n = nearest(e);
  return static_cast<float>(polynomial(e - n, power_of) * power_of_two(n));
}
template <class V>
FLAMBEAU_INLINE V power(V x, V y) {
  const V a = std::fabs(x);
  return power_limits(x, y, usual_power((a == V(0)) | !(a < V(INFINITY)) ? V(1) : a, y));
}

template <class V>
FLAMBEAU_INLINE V pow(V x, V y) {
  if constexpr (std::is_floating_point_v<V>) {
    return power(x, y);
  } else if constexpr (sizeof(V) <= 2) {  // a loop over the bits of y, which GCC vectorises in parts of eight
    const V one = V(x == V(1)), odd = V(y & 1), alternating = x == V(-1) ? V(1 - 2 * odd) : V(0);
    const V falling = std::is_signed_v<V> ? V(one | alternating) : V(0);
    V result = 1, square = x;
    for (int first = 0; first < int(8 * sizeof(V)); first += 8)
      for (int bit = first; bit < first + 8; ++bit, square = V(square * square))
        result = y >> bit & 1 ? V(result * square) : result;
    return y < V(0) ? falling : result;
  } else {
    if (y < 0) return x == 1 ? V(1) : (x == V(-1) ? (y % 2 ? V(-1) : V(1)) : V(0));
    V result = 1;
    for (; y; y >>= 1, x *= x)
      if (y & 1) result *= x;
    return result;
  }
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
