// Exponentials. In float64, ln(2) is split as in FDLIBM (Sun Microsystems, 1993). Polynomial coefficients are from
// weighted least squares with 40 digits, reweighted towards the minimax solution.
#pragma once

#include "flambeau/kernels/math/bits.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

template <class V>
inline constexpr V kLog2E = V(1.4426950408889634);
template <class V>  // ln(2) in two parts; the first times an integer is exact
inline constexpr V kLn2High = sizeof(V) == 4 ? V(0.693359375) : V(6.93147180369123816490e-01);
template <class V>
inline constexpr V kLn2Low = sizeof(V) == 4 ? V(-2.12194440e-4) : V(1.90821492927058770002e-10);

template <class V>
struct Exponential {  // e**x = 2**whole * (1 + first + rest), where first is the reduced argument
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
  const float n = nearest(x * kLog2E<float>);
  const float r = (x - n * kLn2High<float>)-n * kLn2Low<float>;
  return {n, r, exp_rest(r)};
}
FLAMBEAU_INLINE Exponential<double> exp_parts(double x) {
  const double n = nearest(x * kLog2E<double>);
  const double high = x - n * kLn2High<double>, low = n * kLn2Low<double>, r = high - low;
  const double lost = (high - r) - low;  // the rounding error of the reduced argument
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

FLAMBEAU_INLINE double expm1_quotient(double r) {  // (e**r - 1) / r, |r| <= ln(2)/2
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
                          1.0};
  return horner(r, p);
}
// exp_reduced() computes e**r for |r| <= ln(2)/2, and exp2_reduced() computes 2**r for |r| <= 1/2. Fused operations
// keep the error small enough; without them, one_more() compensates the rounding error of the sum.
#ifdef __FMA__
FLAMBEAU_INLINE float exp_reduced(float r) {
  constexpr float p[] = {
      1.395171106e-03f, 8.369599016e-03f, 4.166618737e-02f, 1.666651288e-01f, 5.000000101e-01f, 1.0f, 1.0f};
  return horner(r, p);
}
FLAMBEAU_INLINE double exp_reduced(double r) { return expm1_quotient(r) * r + 1.0; }
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
// exp_up_to() computes e**x for x up to `most`. Below kMinExponent the result is set to 0, because a product that
// underflows takes the processor a hundred times as long. NaN propagates, because every comparison with it is false.
template <class V>
inline constexpr V kMinExponent = sizeof(V) == 4 ? V(-104) : V(-746);
template <class V>
FLAMBEAU_INLINE V exp_up_to(V x, V most) {
  const bool vanishes = x < kMinExponent<V>;
  const V bounded = vanishes ? V(0) : at_most(x, most);
  const V scaler = bounded * kLog2E<V> + kScaler<V>, n = scaler - kScaler<V>, first = bounded - n * kLn2High<V>;
  const V y = times_power(exp_reduced(first - n * kLn2Low<V>), scaler);
  return vanishes ? V(0) : y;
}
FLAMBEAU_INLINE float exp(float x) { return exp_up_to(x, 89.0f); }
FLAMBEAU_INLINE double exp(double x) { return exp_up_to(x, 710.0); }
// For |x| below kUsualExp, e**x is a normal number.
template <class V>
inline constexpr V kUsualExp = sizeof(V) == 4 ? V(87) : V(708);
template <class V>
FLAMBEAU_INLINE V usual_exp(V x) {
  const V shifted = x * kLog2E<V> + kExponentShifter<V>, n = shifted - kExponentShifter<V>, first = x - n * kLn2High<V>;
  return exp_reduced(first - n * kLn2Low<V>) * from_exponent(shifted);
}
// e**(x + rest) = reduced * 2**n, with n in the form that times_falling_power takes (`scaler`). x must be between
// kMinExponent and 0, and rest at most a few units in the last place of x.
template <class V>
struct Falling {
  V reduced, scaler;
};
template <class V>
FLAMBEAU_INLINE Falling<V> falling_parts(V x, V rest) {
  const V scaler = x * kLog2E<V> + kFallingScaler<V>, n = scaler - kFallingScaler<V>, first = x - n * kLn2High<V>;
  return {exp_reduced(rest + (first - n * kLn2Low<V>)), scaler};
}
template <class V>
FLAMBEAU_INLINE V exp_falling(V x) {  // x <= 0
  const bool vanishes = x < kMinExponent<V>;
  const auto parts = falling_parts(vanishes ? V(0) : x, V(0));
  const V y = times_falling_power(parts.reduced, parts.scaler);
  return vanishes ? V(0) : y;
}
// Computes exp_falling(x) for arguments whose result is a normal number.
template <class V>
FLAMBEAU_INLINE V usual_exp_falling(V x) {
  const auto parts = falling_parts(x, V(0));
  return times_falling_power(parts.reduced, parts.scaler);
}
// Returns e**x - 1 for |x| up to a few dozen. Results near 0 are accurate. Large results are less accurate, because
// they hardly affect the results of the functions that use them.
template <class V>
FLAMBEAU_INLINE V moderate_expm1(V x) {
  const V shifted = x * kLog2E<V> + kExponentShifter<V>, n = shifted - kExponentShifter<V>;
  const V r = x - n * V(0.6931471805599453), power = from_exponent(shifted);
  return power * (r + exp_rest(r)) + (power - V(1));
}
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

}  // namespace flambeau::kernels::FLAMBEAU_ISA
