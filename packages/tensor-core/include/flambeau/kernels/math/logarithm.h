// Logarithms. The float64 versions follow FDLIBM (Sun Microsystems, 1993) and use its coefficients unless noted. The
// coefficients for float32 are from weighted least squares with 40 digits, reweighted towards the minimax solution.
#pragma once

#include "flambeau/kernels/math/exponential.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// log(x) = exponent * ln(2) + fraction - half + series, where half is fraction**2 / 2. The terms are in order of
// decreasing size.
template <class V>
struct Logarithm {
  V exponent, fraction, half, series;
};
FLAMBEAU_INLINE float log_polynomial(float f) {  // (log(1 + f) - f + f**2 / 2) / f**3, f as in normal_log_parts
  constexpr float q[] = {6.746489965e-02f,  -1.167561536e-01f, 1.188821176e-01f,  -1.240559787e-01f, 1.421954637e-01f,
                         -1.666799517e-01f, 2.000211897e-01f,  -2.500000962e-01f, 3.333331260e-01f};
  return horner(f, q);
}
FLAMBEAU_INLINE Logarithm<float> normal_log_parts(float x, float raised) {
  const uint32_t bits = bit_cast<uint32_t>(x), shifted = bits - 0x3F3504F3u;  // sqrt(1/2): the least mantissa
  const float f = bit_cast<float>(bits - (shifted & 0xFF800000u)) - 1.0f, square = f * f;
  return {static_cast<float>(static_cast<int32_t>(shifted) >> 23) - raised, f, square * 0.5f,
          square * f * log_polynomial(f)};
}
// Returns log(1 + f) / s - 2 for s = f / (2 + f), where f is from sqrt(1/2) - 1 to sqrt(2) - 1.
FLAMBEAU_INLINE double log_rest(double s) {
  constexpr double q[] = {1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01,
                          2.222219843214978396e-01, 2.857142874366239149e-01, 3.999999999940941908e-01,
                          6.666666666666735130e-01};
  const double z = s * s;
  return z * horner(z, q);
}
FLAMBEAU_INLINE double log_series(double f) {  // log(1 + f) - f + f**2 / 2
  const double s = f / (2.0 + f);
  return s * (f * f * 0.5 + log_rest(s));
}
struct Split {  // x = 2**exponent * mantissa, the mantissa from sqrt(1/2) to sqrt(2)
  double exponent, mantissa;
};
FLAMBEAU_INLINE Split split_normal(double x) {
  constexpr uint64_t root = 0x3FE6A09E667F3BCDull, one = 0x3FF0000000000000ull;  // sqrt(1/2)
  // Converts `biased` to double by placing it in the low bits of 2**52.
  const uint64_t bits = bit_cast<uint64_t>(x), biased = (bits + (one - root)) >> 52;
  return {bit_cast<double>(biased | 0x4330000000000000ull) - (0x1p52 + 1023.0),
          bit_cast<double>(bits - ((bits - root) & 0xFFF0000000000000ull))};
}
FLAMBEAU_INLINE Split split(double x) {
  const bool subnormal = x < 2.2250738585072014e-308;
  const Split s = split_normal(subnormal ? x * 18014398509481984.0 : x);
  return {s.exponent - (subnormal ? 54.0 : 0.0), s.mantissa};
}
FLAMBEAU_INLINE Logarithm<double> normal_log_parts(double x, double raised) {
  const Split s = split_normal(x);
  const double f = s.mantissa - 1.0;
  return {s.exponent - raised, f, f * f * 0.5, log_series(f)};
}
template <class V>
FLAMBEAU_INLINE V log_of(Logarithm<V> p) {
  return p.exponent * kLn2High<V> + (p.fraction - (p.half - (p.series + p.exponent * kLn2Low<V>)));
}
template <class V>
FLAMBEAU_INLINE V log2_of(Logarithm<V> p) {
  return p.exponent + (p.fraction - (p.half - p.series)) * kLog2E<V>;
}
template <class V>  // log10(2) in two parts; the first times an integer is exact
inline constexpr V kLog10Of2High = sizeof(V) == 4 ? V(0.301025391) : V(3.01029995663611771306e-01);
template <class V>
inline constexpr V kLog10Of2Low = sizeof(V) == 4 ? V(4.6050390e-6) : V(3.69423907715893078616e-13);
template <class V>
FLAMBEAU_INLINE V log10_of(Logarithm<V> p) {
  return p.exponent * kLog10Of2High<V> +
         ((p.fraction - (p.half - p.series)) * V(0.4342944819032518) + p.exponent * kLog10Of2Low<V>);
}
// Return logarithms of x / 2**raised for positive, normal x, without checks for other arguments.
template <class V>
FLAMBEAU_INLINE V usual_log(V x, V raised = V(0)) {
  return log_of(normal_log_parts(x, raised));
}
template <class V>
FLAMBEAU_INLINE V usual_log2(V x, V raised = V(0)) {
  return log2_of(normal_log_parts(x, raised));
}
template <class V>
FLAMBEAU_INLINE V usual_log10(V x, V raised = V(0)) {
  return log10_of(normal_log_parts(x, raised));
}
#ifdef __AVX512F__
// With AVX-512, a division takes as long as thirty other operations. This version does not divide: the interval of the
// mantissa is halved, and mantissas in the lower half are multiplied by about the square root of 2, so that the
// fraction is small enough for a polynomial. The multiplier is chosen so that its logarithm to the base in use has 42
// bits.
struct MantissaScale {
  double multiplier, logarithm;
};
// In base b, the logarithm is exponent * log_b(2) - scale_logarithm + fraction_logarithm / ln(b). `scale_logarithm` is
// the logarithm of the multiplier in base b, or 0 for mantissas in the upper half. `fraction_logarithm` is a natural
// logarithm.
struct DivisionFreeLogarithm {
  double exponent, scale_logarithm, fraction_logarithm;
};
FLAMBEAU_INLINE DivisionFreeLogarithm division_free_log_parts(double x, double raised, MantissaScale scale) {
  constexpr int64_t least = 0x3FE306FE0A31B715ll, exponent_bits = ~((1ll << 52) - 1);  // least: 2**-(3/4)
  constexpr double q[] = {-0.5000000000000003,  0.3333333333332993,  -0.24999999999952582, 0.20000000002480556,
                          -0.16666666687469686, 0.1428571368775711,  -0.12499995961889386, 0.11111176772897073,
                          -0.10000405321106423, 0.09087333657165544, -0.08311507251928796, 0.0778292324017,
                          -0.07737124494572405, 0.060014203199706136};  // (log(1 + f) - f) / f**2
  const int64_t bits = bit_cast<int64_t>(x), above = bits - least;
  const double mantissa = bit_cast<double>(bits - (above & exponent_bits));  // from 2**-(3/4) to 2**(1/4)
  const bool low = mantissa < 0.8408964152537145;
  const double f = mantissa * (low ? scale.multiplier : 1.0) - 1.0;
  return {double(above >> 52) - raised, low ? scale.logarithm : 0.0, f + f * f * polynomial(f, q)};
}
FLAMBEAU_INLINE double usual_log2(double x, double raised = 0.0) {
  const auto p = division_free_log_parts(x, raised, {1.4142135687721205, 0x1.0000003813p-1});
  return (p.exponent - p.scale_logarithm) + p.fraction_logarithm * kLog2E<double>;
}
FLAMBEAU_INLINE double usual_log10(double x, double raised = 0.0) {
  const auto p = division_free_log_parts(x, raised, {1.4142135758730858, 0x1.344135986ap-3});
  return (p.exponent * kLog10Of2High<double> - p.scale_logarithm) +
         (p.fraction_logarithm * 0.4342944819032518 + p.exponent * kLog10Of2Low<double>);
}
#endif
template <class V>
FLAMBEAU_INLINE V log_limits(V x, V y) {
  const V at_most_zero = x == V(0) ? -V(INFINITY) : V(NAN), finite = x < V(INFINITY) ? y : x;
  return x > V(0) ? finite : at_most_zero;
}
#define FLAMBEAU_LOGARITHM(name)                                                                               \
  template <class V>                                                                                           \
  FLAMBEAU_INLINE V any_##name(V x) {                                                                          \
    constexpr V digits = V(std::numeric_limits<V>::digits - 1), up = V(1) / std::numeric_limits<V>::epsilon(); \
    const bool small = x < std::numeric_limits<V>::min();                                                      \
    return log_limits(x, usual_##name(small ? x * up : x, small ? digits : V(0)));                             \
  }                                                                                                            \
  FLAMBEAU_INLINE float name(float x) { return any_##name(x); }                                                \
  FLAMBEAU_INLINE double name(double x) { return any_##name(x); }
FLAMBEAU_LOGARITHM(log)
FLAMBEAU_LOGARITHM(log2)
FLAMBEAU_LOGARITHM(log10)
#undef FLAMBEAU_LOGARITHM
// Returns log(1 + x) for 0 <= x <= 1. In this range, no digits are lost, and the exponent of 1 + x is not needed.
FLAMBEAU_INLINE float log1p_of_unit(float x) {
  const bool upper = x > 0.41421354f;
  const float f = upper ? x * 0.5f - 0.5f : x, half = f * f * 0.5f;
  const float low = upper ? kLn2Low<float> : 0.0f, high = upper ? kLn2High<float> : 0.0f;
  return high + (f - (half - (f * f * f * log_polynomial(f) + low)));
}
FLAMBEAU_INLINE double log1p_of_unit(double x) {
  const bool upper = x > 0.41421356237309503;
  const double f = upper ? x * 0.5 - 0.5 : x, half = f * f * 0.5;
  const double low = upper ? kLn2Low<double> : 0.0, high = upper ? kLn2High<double> : 0.0;
  return high - ((half - (log_series(f) + low)) - f);
}
FLAMBEAU_INLINE float log1p(float x) {
  const float u = 1.0f + x;
  const float y = log(u) + (x - (u - 1.0f)) / u;  // corrects the rounding error of 1 + x to first order
  return (u == INFINITY) | (u == 0.0f) ? log(u) : (u == 1.0f ? x : y);
}
FLAMBEAU_INLINE double log1p(double x) {
  const double u = 1.0 + x;
  const Split s = split(u);
  const bool whole = s.exponent == 0.0;  // then x itself is the fraction
  const double lost = (u >= 2.0 ? 1.0 - (u - x) : x - (u - 1.0)) / u;
  const double f = whole ? x : s.mantissa - 1.0, half = f * f * 0.5;
  const double low = log_series(f) + s.exponent * kLn2Low<double> + (whole | (u == INFINITY) ? 0.0 : lost);
  const double y = s.exponent * kLn2High<double> - ((half - low) - f);
  return x == 0.0 ? x : log_limits(u, y);
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
