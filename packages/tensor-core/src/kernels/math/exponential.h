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

template <class V>
FLAMBEAU_INLINE V scale(V y, V n) {  // y * 2**n in two steps, for subnormal results
  const V half = nearest(n * V(0.5));
  return y * power_of_two(half) * power_of_two(n - half);
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
FLAMBEAU_INLINE float within(float x, float low, float high) { return x < low ? low : (x > high ? high : x); }
FLAMBEAU_INLINE double within(double x, double low, double high) { return x < low ? low : (x > high ? high : x); }

FLAMBEAU_INLINE float exp(float x) {
  const auto e = exp_parts(within(x, -104.0f, 89.0f));
  return x != x ? x : scale(one_more(e), e.whole);
}
FLAMBEAU_INLINE double exp(double x) {
  const auto e = exp_parts(within(x, -746.0, 710.0));
  return x != x ? x : scale(one_more(e), e.whole);
}
FLAMBEAU_INLINE float exp2(float x) {
  const float bounded = within(x, -151.0f, 129.0f), n = nearest(bounded);
  const float r = (bounded - n) * 0.693147181f;
  return x != x ? x : scale(one_more(Exponential<float>{n, r, exp_rest(r)}), n);
}
FLAMBEAU_INLINE double exp2(double x) {
  const double bounded = within(x, -1076.0, 1025.0), n = nearest(bounded);
  const double r = (bounded - n) * 0.6931471805599453;
  return x != x ? x : scale(one_more(Exponential<double>{n, r, exp_rest(r)}), n);
}
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
FLAMBEAU_INLINE Logarithm<float> log_parts(float x) {
  const bool subnormal = x < 1.17549435e-38f;
  const uint32_t bits = bit_cast<uint32_t>(subnormal ? x * 8388608.0f : x);
  const int32_t shifted =
      static_cast<int32_t>(bits - 0x3F3504F3u);  // sqrt(1/2): the mantissa falls into [0.707, 1.414)
  const int32_t exponent = (shifted >> 23) - (subnormal ? 23 : 0);
  const float f = bit_cast<float>((static_cast<uint32_t>(shifted) & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f;
  constexpr float q[] = {3.333331260e-01f,  -2.500000962e-01f, 2.000211897e-01f,  -1.666799517e-01f, 1.421954637e-01f,
                         -1.240559787e-01f, 1.188821176e-01f,  -1.167561536e-01f, 6.746489965e-02f};
  return {static_cast<float>(exponent), f, f * f * 0.5f, f * f * f * polynomial(f, q)};
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
  y = x == V(0) ? -V(INFINITY) : y;
  y = x == V(INFINITY) ? V(INFINITY) : y;
  return (x < V(0)) | (x != x) ? V(NAN) : y;
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
  const V e = exp(-std::fabs(x));
  return (x < V(0) ? e : V(1)) / (V(1) + e);
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
