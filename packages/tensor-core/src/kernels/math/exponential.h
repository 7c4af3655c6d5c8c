// Exponentials and logarithms. In float64 after FDLIBM (Sun Microsystems, 1993), whose coefficients these are unless
// noted; in float32 weighted least squares in 40 digits, reweighted towards the minimax solution.
#pragma once

#include "kernels/math/bits.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

inline constexpr float kLog2E = 1.44269504f, kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
inline constexpr double kLog2E64 = 1.4426950408889634, kLn2High64 = 6.93147180369123816490e-01,
                        kLn2Low64 = 1.90821492927058770002e-10;

template <class V>
struct Exponential {  // e**x = 2**whole * (1 + first + rest), first the reduced argument
  V whole, first, rest;
};
template <class V>
FLAMBEAU_INLINE V one_more(Exponential<V> e) {
  const V sum = V(1) + e.first;
  return sum + (((V(1) - sum) + e.first) + e.rest);
}

FLAMBEAU_INLINE float exp_rest(float r) {  // e**r - 1 - r, |r| <= ln(2)/2
  constexpr float q[] = {5.000000101e-01f, 1.666651288e-01f, 4.166618737e-02f, 8.369599016e-03f, 1.395171106e-03f};
  return r * r * polynomial(r, q);
}
FLAMBEAU_INLINE double exp_rest(double r) {
  constexpr double q[] = {5.000000000000001e-1,  1.6666666666666667e-1, 4.1666666666623992e-2, 8.3333333333300513e-3,
                          1.3888888917281793e-3, 1.9841269863105969e-4, 2.4801521190217728e-5, 2.7557268378684193e-6,
                          2.7620138719733996e-7, 2.5100424157005067e-8};
  return r * r * polynomial(r, q);
}
FLAMBEAU_INLINE Exponential<float> exp_parts(float x) {
  const float n = nearest(x * kLog2E);
  const float r = (x - n * kLn2High) - n * kLn2Low;
  return {n, r, exp_rest(r)};
}
FLAMBEAU_INLINE Exponential<double> exp_parts(double x) {
  const double n = nearest(x * kLog2E64);
  const double high = x - n * kLn2High64, low = n * kLn2Low64, r = high - low;
  const double lost = (high - r) - low;  // what rounding the reduced argument lost
  return {n, r, exp_rest(r) + lost};
}
template <class V>
FLAMBEAU_INLINE V at_least(V x, V low) {
  return x < low ? low : x;
}
template <class V>
FLAMBEAU_INLINE V at_most(V x, V high) {
  return x > high ? high : x;
}
template <class V>
FLAMBEAU_INLINE V within(V x, V low, V high) {
  return at_most(at_least(x, low), high);
}

// e**r, |r| <= ln(2)/2, and 2**r, |r| <= 1/2. Fused operations keep the error small enough; without them the sum is
// made with what its rounding loses.
#ifdef __FMA__
FLAMBEAU_INLINE float exp_reduced(float r) {
  constexpr float p[] = {
      1.395171106e-03f, 8.369599016e-03f, 4.166618737e-02f, 1.666651288e-01f, 5.000000101e-01f, 1.0f, 1.0f};
  return horner(r, p);
}
FLAMBEAU_INLINE double exp_reduced(double r) {
  constexpr double p[] = {2.5100424157005067e-8,
                          2.7620138719733996e-7,
                          2.7557268378684193e-6,
                          2.4801521190217728e-5,
                          1.9841269863105969e-4,
                          1.3888888917281793e-3,
                          8.3333333333300513e-3,
                          4.1666666666623992e-2,
                          1.6666666666666667e-1,
                          5.000000000000001e-1,
                          1.0,
                          1.0};
  return horner(r, p);
}
FLAMBEAU_INLINE float exp2_reduced(float r) {
  constexpr float p[] = {1.5473203585e-4f,
                         1.3391584217e-3f,
                         9.6180184691e-3f,
                         5.5503596517e-2f,
                         2.40226511812e-1f,
                         6.93147180560e-1f,
                         1.0f};
  return horner(r, p);
}
FLAMBEAU_INLINE double exp2_reduced(double r) {
  constexpr double p[] = {4.454111985839918e-10, 7.0709939540267887e-9, 1.0178067229914699e-7, 1.3215451562805e-6,
                          1.5252733820846097e-5, 1.5403530424870879e-4, 1.3333558146423192e-3, 9.6181291076186264e-3,
                          5.5504108664821581e-2, 2.4022650695910076e-1, 6.9314718055994531e-1, 1.0};
  return horner(r, p);
}
#else
template <class V>
FLAMBEAU_INLINE V exp_reduced(V r) {
  return one_more(Exponential<V>{V(0), r, exp_rest(r)});
}
template <class V>
FLAMBEAU_INLINE V exp2_reduced(V r) {
  return exp_reduced(r * V(0.6931471805599453));
}
#endif
// e**x down to `least`, below which it is 0 by choice: a product that falls below the smallest number takes the
// processor a hundred times as long. Not a number stays one: it lets every comparison pass, and so does what follows.
template <class V>
FLAMBEAU_INLINE V exp_limited(V x, V least, V log2e, V ln2_high, V ln2_low) {
  const bool vanishes = x < least;
  const V bounded = vanishes ? V(0) : x;
  const V scaler = bounded * log2e + kScaler<V>, n = scaler - kScaler<V>;
  const V y = times_power(exp_reduced((bounded - n * ln2_high) - n * ln2_low), scaler);
  return vanishes ? V(0) : y;
}
// For x <= 0, where nothing can overflow.
FLAMBEAU_INLINE float exp_falling(float x) { return exp_limited(x, -104.0f, kLog2E, kLn2High, kLn2Low); }
FLAMBEAU_INLINE double exp_falling(double x) { return exp_limited(x, -746.0, kLog2E64, kLn2High64, kLn2Low64); }
FLAMBEAU_INLINE float exp(float x) { return exp_falling(at_most(x, 89.0f)); }
FLAMBEAU_INLINE double exp(double x) { return exp_falling(at_most(x, 710.0)); }
template <class V>
FLAMBEAU_INLINE V exp2_limited(V x, V least) {
  const bool vanishes = x < least;
  const V bounded = vanishes ? V(0) : x, scaler = bounded + kScaler<V>;
  const V y = times_power(exp2_reduced(bounded - (scaler - kScaler<V>)), scaler);
  return vanishes ? V(0) : y;
}
FLAMBEAU_INLINE float exp2(float x) { return exp2_limited(at_most(x, 129.0f), -150.0f); }
FLAMBEAU_INLINE double exp2(double x) { return exp2_limited(at_most(x, 1025.0), -1075.0); }
FLAMBEAU_INLINE float expm1(float x) {
  constexpr float q[] = {5.000000002e-01f, 1.666666745e-01f, 4.166666026e-02f, 8.333142254e-03f,
                         1.388930528e-03f, 1.997358496e-04f, 2.479080632e-05f};
  const float near = x + x * x * polynomial(x, q), far = exp(x) - 1.0f;
  return std::copysign(std::fabs(x) < 0.5f ? near : far, x);  // -0 keeps its sign
}
FLAMBEAU_INLINE double expm1(double x) {
  const auto e = exp_parts(within(x, -746.0, 710.0));
  const double near = power_of_two(within(e.whole, -1000.0, 1000.0));
  const double y = (near - 1.0) + near * (e.first + e.rest);
  return x != x ? x : std::copysign(e.whole > 1000.0 ? scale(one_more(e), e.whole) : y, x);
}

// log(x) = exponent * ln(2) + fraction - half + series, half being fraction**2 / 2: the terms by falling size.
template <class V>
struct Logarithm {
  V exponent, fraction, half, series;
};
FLAMBEAU_INLINE float log_polynomial(float f) {  // (log(1 + f) - f + f**2 / 2) / f**3, f as in log_parts
  constexpr float q[] = {3.333331260e-01f,  -2.500000962e-01f, 2.000211897e-01f,  -1.666799517e-01f, 1.421954637e-01f,
                         -1.240559787e-01f, 1.188821176e-01f,  -1.167561536e-01f, 6.746489965e-02f};
  return polynomial(f, q);
}
FLAMBEAU_INLINE Logarithm<float> log_parts(float x) {
  const bool subnormal = x < 1.17549435e-38f;
  const uint32_t bits = bit_cast<uint32_t>(subnormal ? x * 8388608.0f : x);
  const int32_t shifted =
      static_cast<int32_t>(bits - 0x3F3504F3u);  // sqrt(1/2): the mantissa falls into [0.707, 1.414)
  const int32_t exponent = (shifted >> 23) - (subnormal ? 23 : 0);
  const float f = bit_cast<float>((static_cast<uint32_t>(shifted) & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f;
  return {static_cast<float>(exponent), f, f * f * 0.5f, f * f * f * log_polynomial(f)};
}
FLAMBEAU_INLINE double log_series(double f) {  // log(1 + f) - f + f**2 / 2, f from sqrt(1/2) - 1 to sqrt(2) - 1
  constexpr double q[] = {6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01,
                          2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01,
                          1.479819860511658591e-01};
  const double s = f / (2.0 + f), z = s * s;
  return s * (f * f * 0.5 + z * polynomial(z, q));
}
struct Split {  // x = 2**exponent * mantissa, the mantissa from sqrt(1/2) to sqrt(2)
  double exponent, mantissa;
};
FLAMBEAU_INLINE Split split_normal(double x) {
  const int64_t shifted = bit_cast<int64_t>(x) - 0x3FE6A09E667F3BCDll;
  return {from_whole(int64_t(uint64_t(shifted) >> 52 ^ 0x800) - 0x800),
          bit_cast<double>((shifted & 0x000FFFFFFFFFFFFFll) + 0x3FE6A09E667F3BCDll)};
}
FLAMBEAU_INLINE Split split(double x) {
  const bool subnormal = x < 2.2250738585072014e-308;
  const Split s = split_normal(subnormal ? x * 18014398509481984.0 : x);
  return {s.exponent - (subnormal ? 54.0 : 0.0), s.mantissa};
}
FLAMBEAU_INLINE Logarithm<double> log_parts(double x) {
  const Split s = split(x);
  const double f = s.mantissa - 1.0;
  return {s.exponent, f, f * f * 0.5, log_series(f)};
}
template <class V>
FLAMBEAU_INLINE V log_limits(V x, V y) {
  const V at_most_zero = x == V(0) ? -V(INFINITY) : V(NAN), finite = x < V(INFINITY) ? y : x;
  return x > V(0) ? finite : at_most_zero;
}
FLAMBEAU_INLINE float log(float x) {
  const auto p = log_parts(x);
  return log_limits(x, p.exponent * kLn2High + (p.fraction - (p.half - (p.series + p.exponent * kLn2Low))));
}
FLAMBEAU_INLINE double log(double x) {
  const auto p = log_parts(x);
  return log_limits(x, p.exponent * kLn2High64 - ((p.half - (p.series + p.exponent * kLn2Low64)) - p.fraction));
}
// log(x) / log(base): the logarithm in two parts, times the two parts of 1 / log(base).
FLAMBEAU_INLINE double log_to_base(double x, double inverse_high, double inverse_low, double two_high, double two_low) {
  const auto p = log_parts(x);
  const double high = high_part(p.fraction - p.half), low = (p.fraction - high) - p.half + p.series;
  const double first = high * inverse_high, second = p.exponent * two_high, sum = second + first;
  const double rest = p.exponent * two_low + (low + high) * inverse_low + low * inverse_high + ((second - sum) + first);
  return log_limits(x, rest + sum);
}
FLAMBEAU_INLINE double log2(double x) {
  return log_to_base(x, 1.44269504072144627571e+00, 1.67517131648865118353e-10, 1.0, 0.0);
}
FLAMBEAU_INLINE double log10(double x) {
  return log_to_base(x, 4.34294481878168880939e-01, 2.50829467116452752298e-11, 3.01029995663611771306e-01,
                     3.69423907715893078616e-13);
}
FLAMBEAU_INLINE float log2(float x) {
  const auto p = log_parts(x);
  return log_limits(x, p.exponent + (p.fraction - (p.half - p.series)) * kLog2E);
}
FLAMBEAU_INLINE float log10(float x) {
  const auto p = log_parts(x);
  return log_limits(
      x, p.exponent * 0.301025391f + ((p.fraction - (p.half - p.series)) * 0.434294482f + p.exponent * 4.6050390e-6f));
}
// log(1 + x), 0 <= x <= 1: neither digits are lost nor exponents looked at.
FLAMBEAU_INLINE float log1p_of_unit(float x) {
  const bool upper = x > 0.41421354f;
  const float f = upper ? x * 0.5f - 0.5f : x, half = f * f * 0.5f;
  const float low = upper ? kLn2Low : 0.0f, high = upper ? kLn2High : 0.0f;
  return high + (f - (half - (f * f * f * log_polynomial(f) + low)));
}
FLAMBEAU_INLINE double log1p_of_unit(double x) {
  const bool upper = x > 0.41421356237309503;
  const double f = upper ? x * 0.5 - 0.5 : x, half = f * f * 0.5;
  const double low = upper ? kLn2Low64 : 0.0, high = upper ? kLn2High64 : 0.0;
  return high - ((half - (log_series(f) + low)) - f);
}
FLAMBEAU_INLINE float log1p(float x) {
  const float u = 1.0f + x;
  const float y = log(u) + (x - (u - 1.0f)) / u;  // what the sum lost, to first order
  return (u == INFINITY) | (u == 0.0f) ? log(u) : (u == 1.0f ? x : y);
}
FLAMBEAU_INLINE double log1p(double x) {
  const double u = 1.0 + x;
  const Split s = split(u);
  const bool whole = s.exponent == 0.0;  // then x itself is the fraction
  const double lost = (u >= 2.0 ? 1.0 - (u - x) : x - (u - 1.0)) / u;
  const double f = whole ? x : s.mantissa - 1.0, half = f * f * 0.5;
  const double low = log_series(f) + s.exponent * kLn2Low64 + (whole | (u == INFINITY) ? 0.0 : lost);
  const double y = s.exponent * kLn2High64 - ((half - low) - f);
  return x == 0.0 ? x : log_limits(u, y);
}

template <class V>
FLAMBEAU_INLINE V sigmoid(V x) {  // from e**-|x|, which does not overflow: small results keep their digits
  const V e = exp_falling(-std::fabs(x));
  return (x < V(0) ? e : V(1)) / (V(1) + e);
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
