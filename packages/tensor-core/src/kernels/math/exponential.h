// Exponentials and logarithms. In float64 after FDLIBM (Sun Microsystems, 1993), whose coefficients these are unless
// noted; in float32 weighted least squares in 40 digits, reweighted towards the minimax solution.
#pragma once

#include "kernels/math/bits.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

template <class V>
inline constexpr V kLog2E = V(1.4426950408889634);
template <class V>  // ln(2) in two parts; the first times a whole number is exact
inline constexpr V kLn2High = sizeof(V) == 4 ? V(0.693359375) : V(6.93147180369123816490e-01);
template <class V>
inline constexpr V kLn2Low = sizeof(V) == 4 ? V(-2.12194440e-4) : V(1.90821492927058770002e-10);

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
  const float n = nearest(x * kLog2E<float>);
  const float r = (x - n * kLn2High<float>)-n * kLn2Low<float>;
  return {n, r, exp_rest(r)};
}
FLAMBEAU_INLINE Exponential<double> exp_parts(double x) {
  const double n = nearest(x * kLog2E<double>);
  const double high = x - n * kLn2High<double>, low = n * kLn2Low<double>, r = high - low;
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
// e**r, |r| <= ln(2)/2, and 2**r, |r| <= 1/2. Fused operations keep the error small enough; without them the sum is
// made with what its rounding loses.
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
// e**x down to `least`, below which it is 0 by choice: a product that falls below the smallest number takes the
// processor a hundred times as long. Not a number stays one: it lets every comparison pass, and so does what follows.
template <class V>
inline constexpr V kLeastExponent = sizeof(V) == 4 ? V(-104) : V(-746);
template <class V>
FLAMBEAU_INLINE V exp_up_to(V x, V most) {
  const bool vanishes = x < kLeastExponent<V>;
  const V bounded = vanishes ? V(0) : at_most(x, most);
  const V scaler = bounded * kLog2E<V> + kScaler<V>, n = scaler - kScaler<V>, first = bounded - n * kLn2High<V>;
  const V y = times_power(exp_reduced(first - n * kLn2Low<V>), scaler);
  return vanishes ? V(0) : y;
}
FLAMBEAU_INLINE float exp(float x) { return exp_up_to(x, 89.0f); }
FLAMBEAU_INLINE double exp(double x) { return exp_up_to(x, 710.0); }
// Where the result is a normal number and below infinity.
template <class V>
inline constexpr V kUsualExp = sizeof(V) == 4 ? V(87) : V(708);
template <class V>
FLAMBEAU_INLINE V usual_exp(V x) {
  const V shifted = x * kLog2E<V> + kExponentShifter<V>, n = shifted - kExponentShifter<V>, first = x - n * kLn2High<V>;
  return exp_reduced(first - n * kLn2Low<V>) * from_exponent(shifted);
}
// e**(x + rest) = reduced * 2**n, n in scaler, where x is from kLeastExponent to 0 and rest a few units in its last
// place.
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
  const bool vanishes = x < kLeastExponent<V>;
  const auto parts = falling_parts(vanishes ? V(0) : x, V(0));
  const V y = times_falling_power(parts.reduced, parts.scaler);
  return vanishes ? V(0) : y;
}
// Where x is above that of the smallest normal number.
template <class V>
FLAMBEAU_INLINE V usual_exp_falling(V x) {
  const auto parts = falling_parts(x, V(0));
  return times_falling_power(parts.reduced, parts.scaler);
}
// e**x - 1, exact near 0, for |x| of a few dozen: where the result is large it counts for little in what it is used
// for.
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

// log(x) = exponent * ln(2) + fraction - half + series, half being fraction**2 / 2: the terms by falling size.
template <class V>
struct Logarithm {
  V exponent, fraction, half, series;
};
FLAMBEAU_INLINE float log_polynomial(float f) {  // (log(1 + f) - f + f**2 / 2) / f**3, f as in log_parts
  constexpr float q[] = {6.746489965e-02f,  -1.167561536e-01f, 1.188821176e-01f,  -1.240559787e-01f, 1.421954637e-01f,
                         -1.666799517e-01f, 2.000211897e-01f,  -2.500000962e-01f, 3.333331260e-01f};
  return horner(f, q);
}
FLAMBEAU_INLINE Logarithm<float> normal_log_parts(float x, float raised) {
  const uint32_t bits = bit_cast<uint32_t>(x), shifted = bits - 0x3F3504F3u;  // sqrt(1/2), from which the mantissa is
  const float f = bit_cast<float>(bits - (shifted & 0xFF800000u)) - 1.0f, square = f * f;
  return {static_cast<float>(static_cast<int32_t>(shifted) >> 23) - raised, f, square * 0.5f,
          square * f * log_polynomial(f)};
}
// log(1 + f) / s - 2, with s = f / (2 + f), f from sqrt(1/2) - 1 to sqrt(2) - 1.
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
  const uint64_t bits = bit_cast<uint64_t>(x),
                 biased = (bits + (one - root)) >> 52;  // a number in the low bits of 2**52
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
template <class V>  // log10(2) in two parts; the first times a whole number is exact
inline constexpr V kLog10Of2High = sizeof(V) == 4 ? V(0.301025391) : V(3.01029995663611771306e-01);
template <class V>
inline constexpr V kLog10Of2Low = sizeof(V) == 4 ? V(4.6050390e-6) : V(3.69423907715893078616e-13);
template <class V>
FLAMBEAU_INLINE V log10_of(Logarithm<V> p) {
  return p.exponent * kLog10Of2High<V> +
         ((p.fraction - (p.half - p.series)) * V(0.4342944819032518) + p.exponent * kLog10Of2Low<V>);
}
// The logarithms of x / 2**raised, where x is positive and normal: those of `Usual` numbers.
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
// Long vectors wait for a division as long as for thirty other operations. Twice as many intervals, the lower ones
// multiplied by about the root of 2, leave fractions so small that a polynomial takes fewer. The root is one whose
// logarithm to the base in use has 42 bits.
struct Root {
  double value, logarithm;
};
struct BriefLogarithm {  // log(x) = exponent * log(2) - root + fraction's
  double exponent, root, fraction_logarithm;
};
FLAMBEAU_INLINE BriefLogarithm brief_log_parts(double x, double raised, Root root) {
  constexpr int64_t least = 0x3FE306FE0A31B715ll, exponent_bits = ~((1ll << 52) - 1);  // 2**-(3/4)
  constexpr double q[] = {-0.5000000000000003,  0.3333333333332993,  -0.24999999999952582, 0.20000000002480556,
                          -0.16666666687469686, 0.1428571368775711,  -0.12499995961889386, 0.11111176772897073,
                          -0.10000405321106423, 0.09087333657165544, -0.08311507251928796, 0.0778292324017,
                          -0.07737124494572405, 0.060014203199706136};  // (log(1 + f) - f) / f**2
  const int64_t bits = bit_cast<int64_t>(x), above = bits - least;
  const double mantissa = bit_cast<double>(bits - (above & exponent_bits));  // from 2**-(3/4) to 2**(1/4)
  const bool low = mantissa < 0.8408964152537145;
  const double f = mantissa * (low ? root.value : 1.0) - 1.0;
  return {double(above >> 52) - raised, low ? root.logarithm : 0.0, f + f * f * polynomial(f, q)};
}
FLAMBEAU_INLINE double usual_log2(double x, double raised = 0.0) {
  const auto p = brief_log_parts(x, raised, {1.4142135687721205, 0x1.0000003813p-1});
  return (p.exponent - p.root) + p.fraction_logarithm * kLog2E<double>;
}
FLAMBEAU_INLINE double usual_log10(double x, double raised = 0.0) {
  const auto p = brief_log_parts(x, raised, {1.4142135758730858, 0x1.344135986ap-3});
  return (p.exponent * kLog10Of2High<double> - p.root) +
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
// log(1 + x), 0 <= x <= 1: neither digits are lost nor exponents looked at.
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
  const float y = log(u) + (x - (u - 1.0f)) / u;  // what the sum lost, to first order
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

// The same for s up to 1/5, to 2**-35 and 2**-55.
FLAMBEAU_INLINE float odds_rest(float s) {
  constexpr float q[] = {0.241037932f, 0.285067685f, 0.400008681f, 0.666666631f};
  const float z = s * s;
  return z * horner(z, q);
}
FLAMBEAU_INLINE double odds_rest(double s) {
  constexpr double q[] = {0.153738845327378908, 0.152494534539431695, 0.181863930149097438, 0.222221375925378591,
                          0.285714294065444263, 0.399999999960978365, 0.666666666666728316};
  const double z = s * s;
  return z * horner(z, q);
}
// log(x / (1 - x)), 0 < x < 1, with one division: of odds = 2**steps * a / b, a and b of about the same size, and
// s = (a - b) / (a + b). Near one half the difference is exact. x is scaled = x * 2**raised, which is a normal number.
template <class V>
FLAMBEAU_INLINE V logit_of(V x, V scaled, V raised) {
  using Bits = std::conditional_t<sizeof(V) == 4, uint32_t, uint64_t>;
  constexpr int kDigits = sizeof(V) == 4 ? 23 : 52;
  constexpr Bits kHalf = Bits(1) << (kDigits - 1), kExponent = ~((Bits(1) << kDigits) - 1);
  const V b = V(1) - x, twice = x + x - V(1);
  const Bits steps = (bit_cast<Bits>(scaled) - bit_cast<Bits>(b) + kHalf) & kExponent;
  const V a = bit_cast<V>(bit_cast<Bits>(scaled) - steps), s = (steps == 0 ? twice : a - b) / (a + b);
  V exponent;
  if constexpr (sizeof(V) == 4)
    exponent = static_cast<float>(static_cast<int32_t>(steps) >> kDigits);
  else  // a number in the low bits of 2**52
    exponent = bit_cast<double>((steps + (Bits(1) << 63)) >> kDigits | 0x4330000000000000ull) - (0x1p52 + 2048.0);
  exponent -= raised;
  return exponent * kLn2High<V> + (s + (s + (s * odds_rest(s) + exponent * kLn2Low<V>)));
}
template <class V>
FLAMBEAU_INLINE V usual_logit(V x) {
  return logit_of(x, x, V(0));
}
template <class V>
FLAMBEAU_INLINE V logit(V x) {
  constexpr V up = sizeof(V) == 4 ? V(0x1p23) : V(0x1p52);
  const bool small = x < std::numeric_limits<V>::min();
  const V y = logit_of(x, small ? x * up : x, small ? V(sizeof(V) == 4 ? 23 : 52) : V(0));
  const V outside = x == V(0) ? -V(INFINITY) : (x == V(1) ? V(INFINITY) : V(NAN));
  return (x > V(0)) & (x < V(1)) ? y : outside;
}

template <class V>
FLAMBEAU_INLINE V sigmoid_by(V x, V e) {  // from e**-|x|, which does not overflow: small results keep their digits
  return (x < V(0) ? e : V(1)) / (V(1) + e);
}
template <class V>
FLAMBEAU_INLINE V sigmoid(V x) {
  return sigmoid_by(x, exp_falling(-std::fabs(x)));
}
// Up to here its results are normal numbers; beyond, those below 0 are e**x.
template <class V>
inline constexpr V kUsualSigmoid = sizeof(V) == 4 ? V(87.25) : V(708.25);
template <class V>
FLAMBEAU_INLINE V usual_sigmoid(V x) {
  return sigmoid_by(x, usual_exp_falling(-std::fabs(x)));
}
template <class V>
FLAMBEAU_INLINE V gradual_sigmoid(V x) {
  const V far = -std::fabs(x);
  const bool vanishes = far < kLeastExponent<V>, small = far < -kUsualSigmoid<V>;
  const auto parts = falling_parts(vanishes ? V(0) : far, V(0));
  const V e = times_gradual_power(parts.reduced, parts.scaler), beyond = x < V(0) ? (vanishes ? V(0) : e) : V(1);
  return small ? beyond : sigmoid_by(x, small ? V(0) : e);
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
