// Remainders of division, for the loops. They are exact without the C library if the quotient is not very large.
//
// For magnitudes a and b, let q be the rounded quotient a / b, truncated. If q < 2**p, where p is the precision, q is
// the exact integer quotient or larger by one. Then a - q * b is smaller than b in magnitude and a multiple of the
// smaller unit in the last place. Hence it is representable, and one fused multiply-add computes it exactly.
#pragma once

#include <limits>

#include "flambeau/kernels/math/bits.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// A number whose quotient by the other operand is known to be below the limit of is_near().
template <class V>
struct Near {
  Near(V v) : value(v) {}
  V value;
};

template <class V>
struct Quotient {
  V whole, rest;  // |x| = whole * |y| + rest, 0 <= rest < |y|
};

FLAMBEAU_INLINE float without_multiple(float a, float q, float b) {
  return static_cast<float>(static_cast<double>(a) - static_cast<double>(q) * static_cast<double>(b));
}
FLAMBEAU_INLINE double without_multiple(double a, double q, double b) { return std::fma(-q, b, a); }

template <class V>
FLAMBEAU_INLINE Quotient<V> near_quotient(V x, V y) {
  const V a = std::fabs(x), b = std::fabs(y), q = std::trunc(a / b);
  const V rest = q == V(0) ? a : without_multiple(a, q, b);  // b may be infinite if q is 0
  const bool over = rest < V(0);
  return {over ? q - V(1) : q, over ? rest + b : rest};
}

template <class V>
FLAMBEAU_INLINE Near<V> fmod(Near<V> x, Near<V> y) {
  return std::copysign(near_quotient(x.value, y.value).rest, x.value);
}
template <class V>
FLAMBEAU_INLINE Near<V> remainder(Near<V> x, Near<V> y) {
  const V m = fmod(x, y).value;
  return (m != V(0)) & ((m < V(0)) != (y.value < V(0))) ? m + y.value : m;
}
template <class V>
FLAMBEAU_INLINE Near<V> floor_divide(Near<V> x, Near<V> y) {
  const Quotient<V> quotient = near_quotient(x.value, y.value);
  const V up = quotient.rest != V(0) ? quotient.whole + V(1) : quotient.whole;
  return negative_bit(x.value) != negative_bit(y.value) ? -up : quotient.whole;
}

// True if division through Near numbers is faster than the formula with rounding. For doubles this requires a fused
// multiply-add instruction.
template <class V>
inline constexpr bool has_near_division = std::is_same_v<V, float>;
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
template <>
inline constexpr bool has_near_division<double> = true;
#endif

// Returns true if the quotient is below 2**(p - 2). Up to this limit, floor_divide gives the same result as the formula
// with rounding that is used for other quotients.
template <class V>
FLAMBEAU_INLINE bool is_near(V x, V y) {
  return std::fabs(x / y) < V(int64_t(1) << (std::numeric_limits<V>::digits - 2));
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
