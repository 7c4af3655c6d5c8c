// Scalar functions for the kernels' inner loops: branch-free in float32, so that the compiler vectorises the loop
// around them; in float64 the C library's. Largest errors in float32 against the exact value, in units in the last
// place of the rounded result (tests/test_accuracy.py measures them for every instruction set):
//   sqrt 0.5, log 1, exp and exp2 1.5, expm1, log1p, log2, log10, sin, cos, tanh 2, sigmoid and erf 3.
// gelu's error is at most 1e-7 times its argument.
// Polynomial coefficients: weighted least squares in 40 digits, reweighted towards the minimax solution.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "flambeau/dtype.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

struct None {  // the derivative of what has none
  template <class V>
  constexpr operator V() const {
    return V(0);
  }
};
inline constexpr None none{}, zero{};

template <class V>
FLAMBEAU_INLINE constexpr V c(double v) {
  return static_cast<V>(v);
}
template <class V>
FLAMBEAU_INLINE V where(bool mask, V a, V b) {
  return mask ? a : b;
}
template <class V>
FLAMBEAU_INLINE V where(bool mask, V a, None) {
  return mask ? a : V(0);
}

template <class To, class From>
FLAMBEAU_INLINE To bit_cast(From v) {
  To out;
  static_assert(sizeof(To) == sizeof(From));
  std::memcpy(&out, &v, sizeof(To));
  return out;
}

template <class V>
inline constexpr bool is_real = std::is_floating_point_v<V>;

template <class V>
FLAMBEAU_INLINE V abs(V x) {
  if constexpr (is_real<V>)
    return std::fabs(x);
  else
    return x < 0 ? -x : x;
}
template <class V>
FLAMBEAU_INLINE V sign(V x) {
  const V result = V(V(0) < x) - V(x < V(0));
  if constexpr (is_real<V>)
    return x != x ? x : result;
  else
    return result;
}
// The complex functions, of real numbers; complex_math.h has them for complex ones.
template <class V>
FLAMBEAU_INLINE V sgn(V x) {
  return sign(x);
}
template <class V>
FLAMBEAU_INLINE V conj(V x) {
  return x;
}
template <class V>
FLAMBEAU_INLINE V real_part(V x) {
  return x;
}
template <class V>
FLAMBEAU_INLINE V angle(V x) {
  return x != x ? x : (x < V(0) ? V(3.141592653589793) : V(0));
}
template <class V>
FLAMBEAU_INLINE V angle_slope(V) {
  return V(0);
}
#define FLAMBEAU_ROUNDING(name, function) \
  template <class V>                      \
  FLAMBEAU_INLINE V name(V x) {           \
    if constexpr (is_real<V>)             \
      return function(x);                 \
    else                                  \
      return x;                           \
  }
FLAMBEAU_ROUNDING(floor, std::floor)
FLAMBEAU_ROUNDING(ceil, std::ceil)
FLAMBEAU_ROUNDING(trunc, std::trunc)
FLAMBEAU_ROUNDING(round, std::rint)
#undef FLAMBEAU_ROUNDING

template <class V>
FLAMBEAU_INLINE bool isinf(V x) {
  if constexpr (is_real<V>)
    return std::fabs(x) == V(INFINITY);
  else
    return false;
}
template <class V>
FLAMBEAU_INLINE bool isfinite(V x) {
  if constexpr (is_real<V>)
    return std::fabs(x) < V(INFINITY);
  else
    return true;
}
// NaN if either is; in the form that the compiler vectorises nested in itself, too.
template <class V>
FLAMBEAU_INLINE V maximum(V x, V y) {
  return (x < y) | (y != y) ? y : x;
}
template <class V>
FLAMBEAU_INLINE V minimum(V x, V y) {
  return (x > y) | (y != y) ? y : x;
}

// The C library's functions in both precisions; float32 overloads below replace those that have to be fast.
#define FLAMBEAU_LIBRARY(name) \
  FLAMBEAU_INLINE double name(double x) { return std::name(x); }
#define FLAMBEAU_LIBRARY_BOTH(name) \
  FLAMBEAU_LIBRARY(name)            \
  FLAMBEAU_INLINE float name(float x) { return std::name(x); }
FLAMBEAU_LIBRARY(exp)
FLAMBEAU_LIBRARY(exp2)
FLAMBEAU_LIBRARY(expm1)
FLAMBEAU_LIBRARY(log)
FLAMBEAU_LIBRARY(log2)
FLAMBEAU_LIBRARY(log10)
FLAMBEAU_LIBRARY(log1p)
FLAMBEAU_LIBRARY(sin)
FLAMBEAU_LIBRARY(cos)
FLAMBEAU_LIBRARY(tan)
FLAMBEAU_LIBRARY(tanh)
FLAMBEAU_LIBRARY(erf)
FLAMBEAU_LIBRARY_BOTH(sqrt)
FLAMBEAU_LIBRARY_BOTH(atan)
FLAMBEAU_LIBRARY_BOTH(sinh)
FLAMBEAU_LIBRARY_BOTH(cosh)
FLAMBEAU_LIBRARY_BOTH(erfc)
FLAMBEAU_LIBRARY_BOTH(asin)
FLAMBEAU_LIBRARY_BOTH(acos)
FLAMBEAU_LIBRARY_BOTH(asinh)
FLAMBEAU_LIBRARY_BOTH(acosh)
FLAMBEAU_LIBRARY_BOTH(atanh)
#undef FLAMBEAU_LIBRARY_BOTH
#undef FLAMBEAU_LIBRARY
template <class V>
FLAMBEAU_INLINE V atan2(V x, V y) {
  return std::atan2(x, y);
}

// Lowest order first. By halves, p(x) = low(x) + x**k high(x) (Estrin's scheme): as many operations as Horner's and a
// few squares, but a third of the latency, which is what the loops wait for.
template <int First, int Count, int N>
FLAMBEAU_INLINE float polynomial_part(const float (&powers)[4], const float (&coefficients)[N]) {
  if constexpr (Count == 1) {
    return coefficients[First];
  } else {
    constexpr int kLevel = Count > 8 ? 3 : Count > 4 ? 2 : Count > 2 ? 1 : 0, kHalf = 1 << kLevel;
    return polynomial_part<First, kHalf>(powers, coefficients) +
           powers[kLevel] * polynomial_part<First + kHalf, Count - kHalf>(powers, coefficients);
  }
}
template <int N>
FLAMBEAU_INLINE float polynomial(float x, const float (&coefficients)[N]) {
  static_assert(N <= 16);
  const float square = x * x, fourth = square * square;
  const float powers[4] = {x, square, fourth, fourth * fourth};
  return polynomial_part<0, N>(powers, coefficients);
}

inline constexpr float kLog2E = 1.44269504f, kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;

FLAMBEAU_INLINE float exp_reduced(float r, float n) {  // 2**n * e**r, |r| <= ln(2)/2
  constexpr float q[] = {5.000000101e-01f, 1.666651288e-01f, 4.166618737e-02f, 8.369599016e-03f, 1.395171106e-03f};
  const float p = r + r * r * polynomial(r, q);
  const int32_t whole = static_cast<int32_t>(n), half = whole >> 1;  // in two steps, for subnormal results
  const float first = bit_cast<float>((half + 127) << 23), second = bit_cast<float>((whole - half + 127) << 23);
  return (first + first * p) * second;
}
FLAMBEAU_INLINE float exp(float x) {
  const float bounded = x < -104.0f ? -104.0f : (x > 89.0f ? 89.0f : x);
  const float n = std::rint(bounded * kLog2E);
  const float r = (bounded - n * kLn2High) - n * kLn2Low;
  const float y = exp_reduced(r, n);
  return x != x ? x : y;
}
FLAMBEAU_INLINE float exp2(float x) {
  const float bounded = x < -151.0f ? -151.0f : (x > 129.0f ? 129.0f : x);
  const float n = std::rint(bounded);
  const float y = exp_reduced((bounded - n) * 0.693147181f, n);
  return x != x ? x : y;
}
FLAMBEAU_INLINE float expm1(float x) {
  constexpr float q[] = {5.000000002e-01f, 1.666666745e-01f, 4.166666026e-02f, 8.333142254e-03f,
                         1.388930528e-03f, 1.997358496e-04f, 2.479080632e-05f};
  const float near = x + x * x * polynomial(x, q), far = exp(x) - 1.0f;
  return std::copysign(std::fabs(x) < 0.5f ? near : far, x);  // -0 keeps its sign
}

struct Logarithm {  // log(x) = fraction + exponent * ln(2)
  float fraction, exponent;
};
FLAMBEAU_INLINE Logarithm log_parts(float x) {
  const bool subnormal = x < 1.17549435e-38f;
  const uint32_t bits = bit_cast<uint32_t>(subnormal ? x * 8388608.0f : x);
  const int32_t shifted =
      static_cast<int32_t>(bits - 0x3F3504F3u);  // sqrt(1/2): the mantissa falls into [0.707, 1.414)
  const int32_t exponent = (shifted >> 23) - (subnormal ? 23 : 0);
  const float f = bit_cast<float>((static_cast<uint32_t>(shifted) & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f;
  constexpr float q[] = {3.333331260e-01f,  -2.500000962e-01f, 2.000211897e-01f,  -1.666799517e-01f, 1.421954637e-01f,
                         -1.240559787e-01f, 1.188821176e-01f,  -1.167561536e-01f, 6.746489965e-02f};
  return {f - f * f * (0.5f - f * polynomial(f, q)), static_cast<float>(exponent)};
}
FLAMBEAU_INLINE float log_limits(float x, float y) {
  y = x == 0.0f ? -INFINITY : y;
  y = x == INFINITY ? INFINITY : y;
  return (x < 0.0f) | (x != x) ? NAN : y;
}
FLAMBEAU_INLINE float log(float x) {
  const Logarithm parts = log_parts(x);
  return log_limits(x, parts.exponent * kLn2High + (parts.fraction + parts.exponent * kLn2Low));
}
FLAMBEAU_INLINE float log2(float x) {
  const Logarithm parts = log_parts(x);
  return log_limits(x, parts.exponent + parts.fraction * kLog2E);
}
FLAMBEAU_INLINE float log10(float x) {
  const Logarithm parts = log_parts(x);
  return log_limits(x,
                    parts.exponent * 0.301025391f + (parts.fraction * 0.434294482f + parts.exponent * 4.6050390e-6f));
}
FLAMBEAU_INLINE float log1p(float x) {
  const float u = 1.0f + x;
  const float y = log(u) + (x - (u - 1.0f)) / u;  // what the sum lost, to first order
  return (u == INFINITY) | (u == 0.0f) ? log(u) : (u == 1.0f ? x : y);
}

#ifdef __FMA__
// Reduction in double with a two-part pi/2, exact for |x| < 2**52; larger arguments go to the C library (see
// has_slow_path).
struct Reduced {
  float r;
  int32_t quadrant;
};
FLAMBEAU_INLINE Reduced reduce_half_pi(float x) {
  const double bounded = std::fabs(x) < 1e9f ? double(x) : 0.0;
  const double n = std::rint(bounded * 0.6366197723675814);
  const double r = std::fma(-n, 6.123233995736766e-17, std::fma(-n, 1.5707963267948966, bounded));
  return {static_cast<float>(r), static_cast<int32_t>(n)};
}
FLAMBEAU_INLINE float sin_reduced(float r) {
  constexpr float q[] = {-1.666666664e-01f, 8.333329144e-03f, -1.983925659e-04f, 2.717564136e-06f};
  return r + r * (r * r) * polynomial(r * r, q);
}
FLAMBEAU_INLINE float cos_reduced(float r) {
  constexpr float q[] = {4.166666662e-02f, -1.388888344e-03f, 2.479943634e-05f, -2.720329880e-07f};
  return 1.0f - r * r * (0.5f - r * r * polynomial(r * r, q));
}
FLAMBEAU_INLINE float sin_quadrant(Reduced reduced, int32_t shift) {
  const int32_t quadrant = reduced.quadrant + shift;
  const float value = quadrant & 1 ? cos_reduced(reduced.r) : sin_reduced(reduced.r);
  return quadrant & 2 ? -value : value;
}
FLAMBEAU_INLINE float sin(float x) {
  const float y = sin_quadrant(reduce_half_pi(x), 0);
  return x == 0.0f ? x : std::fabs(x) < INFINITY ? y : NAN;  // -0 keeps its sign
}
FLAMBEAU_INLINE float cos(float x) {
  const float y = sin_quadrant(reduce_half_pi(x), 1);
  return std::fabs(x) < INFINITY ? y : NAN;
}
inline constexpr float kSlowFrom = 1e9f;
#else
FLAMBEAU_INLINE float sin(float x) { return std::sin(x); }
FLAMBEAU_INLINE float cos(float x) { return std::cos(x); }
inline constexpr float kSlowFrom = INFINITY;
#endif
FLAMBEAU_INLINE float tan(float x) { return std::tan(x); }

FLAMBEAU_INLINE float tanh(float x) {
  constexpr float q[] = {-3.333333091e-01f, 1.333320975e-01f,  -5.394720329e-02f,
                         2.170296228e-02f,  -8.182662951e-03f, 2.147527617e-03f};
  const float a = std::fabs(x);
  const float near = x + x * (x * x) * polynomial(x * x, q);
  const float far = 1.0f - 2.0f / (exp(2.0f * a) + 1.0f);
  return std::copysign(a < 0.625f ? near : far, x);  // -0 keeps its sign
}
FLAMBEAU_INLINE float erf(float x) {
  constexpr float small[] = {1.283791661e-01f, -3.761262714e-01f, 1.128360017e-01f, -2.685444441e-02f,
                             5.189534983e-03f, -8.020838098e-04f, 7.889108900e-05f};
  constexpr float large[] = {-1.937118135e-04f, 1.129607361e+00f,  6.331564528e-01f,
                             1.084965943e-01f,  -2.526708682e-02f, 4.232403104e-03f,
                             -4.494083132e-04f, 2.299724897e-05f,  -9.117369426e-08f};
  const float a = std::fabs(x), bounded = a > 3.95f ? 3.95f : a;
  const float near = x + x * polynomial(x * x, small);
  const float far = 1.0f - exp(-polynomial(bounded, large));
  const float y = a < 1.0f ? near : (x < 0.0f ? -far : far);
  return x != x ? x : y;
}

template <class V>
FLAMBEAU_INLINE V rsqrt(V x) {
  return V(1) / std::sqrt(x);
}
template <class V>
FLAMBEAU_INLINE V sigmoid(V x) {  // from e**-|x|, which does not overflow: small results keep their digits
  const V e = exp(-std::fabs(x));
  return (x < V(0) ? e : V(1)) / (V(1) + e);
}
// The tail, by its logarithm, which is smooth: errors of 6e-8 about the middle and of 5e-4 of the value far out.
FLAMBEAU_INLINE float _normal_cdf(float x) {
  constexpr float log_tail[] = {6.931471229e-01f,  7.978882790e-01f,  3.182746768e-01f, 3.645664826e-02f,
                                -4.980810918e-03f, 1.370683312e-04f,  1.297373528e-04f, -3.593506699e-05f,
                                5.171762950e-06f,  -4.592561424e-07f, 2.516881992e-08f, -7.814097147e-10f,
                                1.052237204e-11f};
  const float a = std::fabs(x), bounded = a > 13.0f ? 13.0f : a;
  const float tail = exp(-polynomial(bounded, log_tail));
  const float y = x < 0.0f ? tail : 1.0f - tail;
  return x != x ? x : y;
}
FLAMBEAU_INLINE double _normal_cdf(double x) { return 0.5 * std::erfc(x * -0.7071067811865476); }
template <class V>
FLAMBEAU_INLINE V _normal_pdf(V x) {
  return c<V>(0.3989422804014327) * exp(c<V>(-0.5) * x * x);
}
template <class V>
FLAMBEAU_INLINE V gelu_inner(V x) {  // twice the argument of the tanh
  return c<V>(1.5957691216057308) * x * (V(1) + c<V>(0.044715) * x * x);
}

// Division as Python's: towards minus infinity, the remainder with the divisor's sign. By zero: integers give 0 here,
// the caller has refused it.
template <class V>
FLAMBEAU_INLINE V fmod(V x, V y) {
  if constexpr (is_real<V>)
    return std::fmod(x, y);
  else
    return y == 0 || y == V(-1) ? V(0) : x % y;
}
template <class V>
FLAMBEAU_INLINE V remainder(V x, V y) {
  const V m = fmod(x, y);
  return m != V(0) && (m < V(0)) != (y < V(0)) ? m + y : m;
}
template <class V>
FLAMBEAU_INLINE V _trunc_divide(V x, V y) {
  if constexpr (is_real<V>)
    return std::trunc(x / y);
  else
    return y == 0 ? V(0) : (y == V(-1) ? -x : x / y);
}
template <class V>
FLAMBEAU_INLINE V floor_divide(V x, V y) {
  if constexpr (is_real<V>) {
    if (y == V(0)) return x / y;
    const V m = std::fmod(x, y);
    const V quotient = (x - m) / y - V(m != V(0) && (m < V(0)) != (y < V(0)));
    const V down = std::floor(quotient);
    return quotient == V(0) ? std::copysign(V(0), x / y) : (quotient - down > V(0.5) ? down + V(1) : down);
  } else {
    return _trunc_divide(x, y) - V(fmod(x, y) != V(0) && (x < V(0)) != (y < V(0)));
  }
}

// x**y in float32 by way of 2**(y * log2(x)) in double, which leaves the rounding as the only error.
FLAMBEAU_INLINE double log2_positive(double x) {
  const int64_t shifted = bit_cast<int64_t>(x) - 0x3FE6A09E667F3BCDll;  // sqrt(1/2), as in log_parts
  const double m = bit_cast<double>((shifted & 0x000FFFFFFFFFFFFFll) + 0x3FE6A09E667F3BCDll);
  const double t = (m - 1.0) / (m + 1.0), z = t * t;
  double series = 1.0 / 15;
  for (int k = 13; k >= 1; k -= 2) series = series * z + 1.0 / k;
  return double(shifted >> 52) + 2.8853900817779268 * t * series;
}
FLAMBEAU_INLINE double exp2_bounded(double e) {  // |e| < 1000
  const double n = std::rint(e), r = (e - n) * 0.6931471805599453;
  double series = 1.0;
  for (int k = 11; k >= 1; --k) series = 1.0 + series * r / k;
  return series * bit_cast<double>((static_cast<int64_t>(n) + 1023) << 52);
}
FLAMBEAU_INLINE float power(float x, float y) {
  const double a = std::fabs(double(x));
  const bool infinite = a > 3.5e38, zero_base = a == 0.0;
  double e = double(y) * log2_positive(infinite | zero_base | (x != x) ? 1.0 : a);
  e = infinite ? double(y) * 1e3 : (zero_base ? double(y) * -1e3 : e);
  e = e > 200.0 ? 200.0 : (e < -200.0 ? -200.0 : e);
  const double half = double(y) * 0.5, magnitude = exp2_bounded(e != e ? 0.0 : e);
  const bool whole = std::rint(double(y)) == double(y), odd = whole & (std::rint(half) != half);
  double result = (bit_cast<int32_t>(x) < 0) & odd ? -magnitude : magnitude;
  result = (x < 0.0f) & !whole & !infinite ? double(NAN) : result;
  result = (x != x) | (y != y) ? double(NAN) : result;
  return (y == 0.0f) | (x == 1.0f) ? 1.0f : float(result);
}

template <class V>
FLAMBEAU_INLINE V pow(V x, V y) {
  if constexpr (std::is_same_v<V, float>) {
    return power(x, y);
  } else if constexpr (is_real<V>) {
    return std::pow(x, y);
  } else {
    if (y < 0) return x == 1 ? V(1) : (x == V(-1) ? (y % 2 ? V(-1) : V(1)) : V(0));
    V result = 1;
    for (; y; y >>= 1, x *= x)
      if (y & 1) result *= x;
    return result;
  }
}
template <class V>
FLAMBEAU_INLINE V copysign(V x, V y) {
  return std::copysign(x, y);
}
template <class V>
FLAMBEAU_INLINE V hypot(V x, V y) {
  return std::hypot(x, y);
}
template <class V>
FLAMBEAU_INLINE V nextafter(V x, V y) {
  return std::nextafter(x, y);
}
template <class V>
FLAMBEAU_INLINE bool signbit(V x) {
  if constexpr (is_real<V>)
    return std::signbit(x);
  else
    return x < 0;
}
template <class V>
FLAMBEAU_INLINE V frexp_mantissa(V x) {
  int exponent;
  return std::frexp(x, &exponent);
}
template <class V>
FLAMBEAU_INLINE V _frexp_exponent(V x) {
  int exponent = 0;
  if (isfinite(x)) std::frexp(x, &exponent);
  return V(exponent);
}

template <class V>
FLAMBEAU_INLINE V logit(V x) {
  const V odds = x / (V(1) - x);
  // About one half the odds are near 1; what is over 1 is exact there.
  return std::fabs(x - V(0.5)) <= V(0.25) ? log1p((x + x - V(1)) / (V(1) - x)) : log(odds);
}
template <class V>
FLAMBEAU_INLINE V logaddexp(V x, V y) {
  const V sum = maximum(x, y) + log1p(exp(-std::fabs(x - y)));
  return (x == y) & isinf(x) ? x : sum;
}
template <class V>
FLAMBEAU_INLINE V logaddexp2(V x, V y) {
  const V sum = maximum(x, y) + log1p(exp2(-std::fabs(x - y))) * c<V>(1.4426950408889634);
  return (x == y) & isinf(x) ? x : sum;
}
template <class V>
FLAMBEAU_INLINE V xlogy(V x, V y) {
  return (x == V(0)) & (y == y) ? V(0) : x * log(y);
}
template <class V>
FLAMBEAU_INLINE V special_xlog1py(V x, V y) {
  return (x == V(0)) & (y == y) ? V(0) : x * log1p(y);
}
// sin(pi x) / (pi x), the angle reduced before it is multiplied: it stays exact about the zeros.
template <class V>
FLAMBEAU_INLINE V sinc(V x) {
  const V whole = std::rint(x), angle = c<V>(3.141592653589793) * (x - whole);
  const V half = whole * V(0.5), sine = half == std::rint(half) ? sin(angle) : -sin(angle);
  const V y = sine / (c<V>(3.141592653589793) * x);
  return x == V(0) ? V(1) : y;
}
// tanh(log(1 + e**x)), rational in e**x, which is bounded where the quotient is 1.
template <class V>
FLAMBEAU_INLINE V mish_gate(V x) {
  const V e = exp(x > V(20) ? V(20) : x), n = e * (e + V(2));
  return n / (n + V(2));
}

template <class V>
FLAMBEAU_INLINE std::make_unsigned_t<V> magnitude(V x) {
  return x < 0 ? std::make_unsigned_t<V>(0) - std::make_unsigned_t<V>(x) : std::make_unsigned_t<V>(x);
}
template <class V>
FLAMBEAU_INLINE V gcd(V x, V y) {
  auto a = magnitude(x), b = magnitude(y);
  while (b) {
    const auto rest = a % b;
    a = b;
    b = rest;
  }
  return V(a);
}
template <class V>
FLAMBEAU_INLINE V lcm(V x, V y) {
  const V divisor = gcd(x, y);
  return divisor == 0 ? V(0) : V(magnitude(V(x / divisor * y)));
}

template <class V>
FLAMBEAU_INLINE V left_shift(V x, V y) {
  return y < 0 || y >= V(sizeof(V) * 8) ? V(0) : V(std::make_unsigned_t<V>(x) << y);
}
template <class V>
FLAMBEAU_INLINE V right_shift(V x, V y) {
  return x >> (y < 0 || y >= V(sizeof(V) * 8) ? V(sizeof(V) * 8 - 1) : y);
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
