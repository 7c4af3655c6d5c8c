// The error function, its complement and inverse, and the normal distribution. erf, erfc, ndtr and erfinv use separate
// fits for each type, which were computed with 40 digits. The other functions compute in double for both types, so that
// float32 results have only the final rounding error. Their sources are Cephes (Moshier, 1989) and Wichura 1988,
// Algorithm AS 241, Applied Statistics 37.
#pragma once

#include "flambeau/kernels/math/power.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// Division is slow. Therefore functions with several ranges select a fraction first and divide once.
struct Fraction {
  double over, under;
};
FLAMBEAU_INLINE Fraction blend(bool mask, Fraction a, Fraction b) {
  return {blend(mask, a.over, b.over), blend(mask, a.under, b.under)};
}
// Returns erf(x) / x as a function of z = x**2 <= 1.
FLAMBEAU_INLINE Fraction erf_series(double z) {
  constexpr double t[] = {9.60497373987051638749e0, 9.00260197203842689217e1, 2.23200534594684319226e3,
                          7.00332514112805075473e3, 5.55923013010394962768e4};
  constexpr double u[] = {1.0,
                          3.35617141647503099647e1,
                          5.21357949780152679795e2,
                          4.59432382970980127987e3,
                          2.26290000613890934246e4,
                          4.92673942608635921086e4};
  return {horner(z, t), horner(z, u)};
}
// Return e**(x**2) * erfc(x): erfcx_middle for x from 1 to 8, erfcx_far for x from 8 to 1e40.
FLAMBEAU_INLINE Fraction erfcx_middle(double x) {
  constexpr double p[] = {2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687e0,
                          4.86371970985681366614e1,   1.96520832956077098242e2,  5.26445194995477358631e2,
                          9.34528527171957607540e2,   1.02755188689515710272e3,  5.57535335369399327526e2};
  constexpr double q[] = {1.0,
                          1.32281951154744992508e1,
                          8.67072140885989742329e1,
                          3.54937778887819891062e2,
                          9.75708501743205489753e2,
                          1.82390916687909736289e3,
                          2.24633760818710981792e3,
                          1.65666309194161350182e3,
                          5.57535340817727675546e2};
  return {horner(x, p), horner(x, q)};
}
FLAMBEAU_INLINE Fraction erfcx_far(double x) {
  constexpr double p[] = {5.64189583547755073984e-1, 1.27536670759978104416e0, 5.01905042251180477414e0,
                          6.16021097993053585195e0,  7.40974269950448939160e0, 2.97886665372100240670e0};
  constexpr double q[] = {1.0,
                          2.26052863220117276590e0,
                          9.39603524938001434673e0,
                          1.20489539808096656605e1,
                          1.70814450747565897222e1,
                          9.60896809063285878198e0,
                          3.36907645100081516050e0};
  return {horner(x, p), horner(x, q)};
}
FLAMBEAU_INLINE Fraction erfcx_tail(double x) {
  const bool far = x >= 8.0;
  return blend(far, erfcx_far(within(x, 8.0, 1e40)), erfcx_middle(within(x, 1.0, 8.0)));
}
// Returns e**(-x**2 * factor) for x >= 0, corrected for the rounding error of the square.
FLAMBEAU_INLINE double exp_minus_square(double x, double factor) {
  const double bounded = within(x, 0.0, 60.0);
  const Pair square = product(bounded, bounded);
  const double y = exp_falling(-factor * square.high);
  return y - y * factor * square.low;
}

FLAMBEAU_INLINE double erfcx_quotient(double x) {  // e**(x**2) * erfc(x) for x >= 1
  const Fraction tail = blend(x < 1e40, erfcx_tail(x), {0.5641895835477563, x});
  return tail.over / tail.under;
}
FLAMBEAU_INLINE double erf_quotient(double z) {
  const Fraction series = erf_series(z);
  return series.over / series.under;
}
FLAMBEAU_INLINE double special_erfcx(double x) {
  const double a = std::fabs(x), inside = a < 1.0 ? x : 1.0, tail = erfcx_quotient(a < 1.0 ? 1.0 : a);
  const double near = exp(inside * inside) * (1.0 - inside * erf_quotient(inside * inside));
  const double bounded = within(a, 1.0, 27.0);
  const Pair square = product(bounded, bounded);
  const double y = exp(square.high), more = y < INFINITY ? y * square.low : 0.0, left = 2.0 * (y + more) - tail;
  const double far = x < 0.0 ? left : tail;
  return a < 1.0 ? near : far;
}
FLAMBEAU_INLINE double special_log_ndtr(double x) {
  constexpr double kRoot = 0.7071067811865476;
  const double a = std::fabs(x) * kRoot, tail = erfcx_quotient(a < 1.0 ? 1.0 : a) * 0.5;
  const double below = log(tail) - 0.5 * x * x;
  const double inside = within(x * kRoot, -1.0, 1.0), part = 0.5 * inside * erf_quotient(inside * inside);
  const double middle = log(0.5 + part), half = 0.5 - part;
  const double above = log1p(-(a < 1.0 ? half : exp_minus_square(std::fabs(x), 0.5) * tail));
  return blend(x < -1.4142135623730951, below, blend(x < 0.0, middle, above));
}

// Returns the quantile of the normal distribution at 1/2 + q. `tail` is the smaller of 1/2 + q and 1/2 - q.
FLAMBEAU_INLINE double normal_quantile(double q, double tail) {
  constexpr double a[] = {3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
                          1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
                          3.3430575583588128105e4, 2.5090809287301226727e3};
  constexpr double b[] = {1.0,
                          4.2313330701600911252e1,
                          6.8718700749205790830e2,
                          5.3941960214247511077e3,
                          2.1213794301586595867e4,
                          3.9307895800092710610e4,
                          2.8729085735721942674e4,
                          5.2264952788528545610e3};
  constexpr double c[] = {1.42343711074968357734e0,  4.63033784615654529590e0, 5.76949722146069140550e0,
                          3.64784832476320460504e0,  1.27045825245236838258e0, 2.41780725177450611770e-1,
                          2.27238449892691845833e-2, 7.74545014278341407640e-4};
  constexpr double d[] = {1.0,
                          2.05319162663775882187e0,
                          1.67638483018380384940e0,
                          6.89767334985100004550e-1,
                          1.48103976427480074590e-1,
                          1.51986665636164571966e-2,
                          5.47593808499534494600e-4,
                          1.05075007164441684324e-9};
  constexpr double e[] = {6.65790464350110377720e0,  5.46378491116411436990e0,  1.78482653991729133580e0,
                          2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                          2.71155556874348757815e-5, 2.01033439929228813265e-7};
  constexpr double f[] = {1.0,
                          5.99832206555887937690e-1,
                          1.36929880922735805310e-1,
                          1.48753612908506148525e-2,
                          7.86869131145613259100e-4,
                          1.84631831751005468180e-5,
                          1.42151175831644588870e-7,
                          2.04426310338993978564e-15};
  const double z = 0.180625 - q * q, r = std::sqrt(-log(tail)), s = r - 1.6, t = r - 5.0;
  const Fraction near = {std::fabs(q) * polynomial(z, a), polynomial(z, b)};
  const Fraction middle = {polynomial(s, c), polynomial(s, d)}, far = {polynomial(t, e), polynomial(t, f)};
  const Fraction chosen = blend(std::fabs(q) <= 0.425, near, blend(r <= 5.0, middle, far));
  return std::copysign(blend(tail == 0.0, double(INFINITY), chosen.over / chosen.under), q);
}
FLAMBEAU_INLINE double erfinv(double x) {
  const double y = normal_quantile(0.5 * x, 0.5 * (1.0 - std::fabs(x))) * 0.7071067811865476;
  return blend(std::fabs(x) <= 1.0, y, double(NAN));
}
FLAMBEAU_INLINE double special_ndtri(double p) {
  const double y = normal_quantile(p - 0.5, p < 0.5 ? p : 1.0 - p);
  return blend((p >= 0.0) & (p <= 1.0), y, double(NAN));
}

// Arguments are limited to kErfLimit, beyond which erf is 1. In float64, e**-(a**2) - 1 is -1 there, so that the result
// is exactly 1.
template <class V>
inline constexpr V kErfLimit = sizeof(V) == 4 ? V(3.95) : V(6.5);
FLAMBEAU_INLINE float erf(float x) {  // from a fit of -log(1 - erf(a)); the relative error of erf is 4e-9
  constexpr float q[] = {6.366193813e-01f, 1.027778371e-01f,  -1.915308776e-02f, -1.603531347e-04f,
                         1.666985178e-03f, -6.328141405e-04f, 1.176350723e-04f,  -9.255595608e-06f};
  const float a = std::fabs(x), bounded = a > kErfLimit<float> ? kErfLimit<float> : a;
  return std::copysign(moderate_expm1(-(bounded * 1.128379172f + bounded * bounded * polynomial(bounded, q))), x);
}
// With g = 1 - erfcx(a) = 1 - e**(a**2) * erfc(a), which is a times a rational function, the result is g + (e**-(a**2)
// - 1) * (g - 1). In this form, the exponential and the division do not depend on each other. The error of the
// approximation is 3e-18.
FLAMBEAU_INLINE double erf(double x) {
  constexpr double p[] = {-0.0016355439564706613, -0.023660330833771205, -0.15395890194000222, -0.5740583812434706,
                          -1.2934261542424828,    -1.6783408478588604,   -1.0000000000000007};
  constexpr double q[] = {0.0014494620723547271, 0.022253008575049676, 0.1554384498550902, 0.6353792633280638,
                          1.6319543401071268,    2.621846961685461,    2.4305936259225835, 1.0};
  const double a = std::fabs(x), bounded = a > kErfLimit<double> ? kErfLimit<double> : a, square = bounded * bounded;
  const double g = bounded * (1.1283791670955126 + bounded * (horner(bounded, p) / horner(bounded, q)));
  const double shifted = kExponentShifter<double> - square * kLog2E<double>, n = shifted - kExponentShifter<double>;
  const double r = -square - n * 0.6931471805599453, power = from_exponent(shifted);
  const double risen = power * (r * expm1_quotient(r)) + (power - 1.0);  // e**-(a**2) - 1
  return std::copysign(g + risen * (g - 1.0), x);
}

// times_erfcx() computes factor * e**(x**2) * erfc(x) for 0 <= x <= kErfcLimit. Beyond it, erfc is 0. The errors are
// 1e-8 in float32 and 1e-18 in float64.
template <class V>
inline constexpr V kErfcLimit = sizeof(V) == 4 ? V(10.06) : V(27.3);
FLAMBEAU_INLINE float times_erfcx(float factor, float x) {  // (1 + 2 x) erfcx(x) is a polynomial in (x - 4) / (x + 4)
  constexpr float p[] = {8.905414562e-4f, 7.043560708e-3f,  -1.586937699e-2f, 3.642891421e-2f,
                         -6.66428970e-2f, 9.381486699e-2f,  -1.009905684e-1f, 6.80939699e-2f,
                         1.537738579e-2f, -1.396210786e-1f, 2.32995135e-1f};
  const float q = 2.0f * (x / (x + 4.0f)) - 1.0f;
  return (factor + factor * horner(q, p)) / (1.0f + 2.0f * x);
}
FLAMBEAU_INLINE double times_erfcx(double factor, double x) {
  constexpr double p[] = {1.4195320718896476e-5,
                          3.1283966963633625e-4,
                          3.384016385108737e-3,
                          2.337225952610415e-2,
                          1.1334208985194418e-1,
                          4.0172102471665941e-1,
                          1.0525894372832633,
                          2.0159844850864113,
                          2.7134181722823698,
                          2.3394455232362874,
                          1.0};
  constexpr double q[] = {2.5160550873040318e-5, 5.5449387716400026e-4, 6.0105931486710742e-3, 4.1703498343534947e-2,
                          2.0388004967940787e-1, 7.3246785849198511e-1, 1.9631454146224736,    3.909236031022205,
                          5.6491694728842896,    5.6264393079922055,    3.4678246903318002,    1.0};
  return factor * horner(x, p) / horner(x, q);
}
#ifdef __FMA__
template <class V>
FLAMBEAU_INLINE V lost_of_square(V x, V square) {  // x**2 - square, the rounding error of a square
  return std::fma(x, x, -square);
}
#else
FLAMBEAU_INLINE float lost_of_square(float x, float square) {
  return static_cast<float>(double(x) * double(x) - square);
}
FLAMBEAU_INLINE double lost_of_square(double x, double) { return product(x, x).low; }
#endif
template <class V>
FLAMBEAU_INLINE V erfc(V x) {
  const bool vanishes = std::fabs(x) > kErfcLimit<V>;
  const V a = vanishes ? V(0) : std::fabs(x), square = a * a;
  const auto power = falling_parts(-square, -lost_of_square(a, square));
  const V tail = vanishes ? V(0) : times_falling_power(times_erfcx(power.reduced, a), power.scaler);
  return x < V(0) ? V(2) - tail : tail;
}
template <class V>
FLAMBEAU_INLINE V special_ndtr(V x) {
  constexpr V half = V(0.5), root = V(0.7071067811865476);
  const bool vanishes = std::fabs(x) > kErfcLimit<V> * V(1.4142135);
  const V a = vanishes ? V(0) : std::fabs(x), square = a * a;
  const auto power = falling_parts(-half * square, -half * lost_of_square(a, square));
  const V beyond = vanishes ? V(0) : times_falling_power(half * times_erfcx(power.reduced, a * root), power.scaler);
  return x > V(0) ? V(1) - beyond : beyond;
}

// Returns Phi(x) with a small absolute error, which may be large relative to Phi(x). This suffices for GELU, whose
// error is measured relative to x.
FLAMBEAU_INLINE float _normal_cdf(float x) {
  constexpr float q[] = {1.151108861e+00f, 4.591643214e-01f, 5.266664177e-02f, -7.363173179e-03f,
                         4.070123541e-04f, 5.768690244e-05f, -8.857201465e-06f};
  const float a = std::fabs(x), near = a > 5.6f ? 5.6f : a, power = -near * polynomial(near, q);
  const float shifted = power + kExponentShifter<float>, whole = shifted - kExponentShifter<float>;
  const float tail = exp2_reduced(power - whole) * (0.5f * from_exponent(shifted));
  const float beyond = a > 5.6f ? 0.0f : tail;  // 1 - Phi(|x|)
  return x > 0.0f ? 1.0f - beyond : beyond;
}
FLAMBEAU_INLINE double _normal_cdf(double x) { return 0.5 + 0.5 * erf(x * 0.7071067811865476); }

// Giles 2010: erfinv(x) / x is a smooth function of w = -log(1 - x**2) and, for large w, of sqrt(w). In float32, the
// polynomials approximate erfinv(x) / x - 1 for small w and erfinv(x) / x - 2 for large w. kUsualErfinv is the largest
// |x| for the first polynomial: w is at most 5 in float32 and 6.25 in float64.
template <class V>
inline constexpr V kUsualErfinv = sizeof(V) == 4 ? V(0.9966) : V(0.999);
FLAMBEAU_INLINE float erfinv_variable(float x) { return -usual_log((1.0f - x) * (1.0f + x)); }
FLAMBEAU_INLINE double erfinv_variable(double x) {  // not accurate to the last digits, which erfinv does not need
  const Split parts = split_normal((1.0 - x) * (1.0 + x));
  const double f = parts.mantissa - 1.0, s = f / (2.0 + f);
  return parts.exponent * -0.6931471805599453 - s * (2.0 + log_rest(s));
}
FLAMBEAU_INLINE float near_erfinv_rest(float w) {
  constexpr float q[] = {5.01409360e-01f,   2.466402785e-01f,  -4.177388474e-03f, -1.252725227e-03f, 2.183458868e-04f,
                         -4.973069668e-06f, -3.463093070e-06f, 4.682669734e-07f,  2.326480012e-08f,  -8.941414069e-09f};
  return polynomial(w - 2.5f, q);
}
FLAMBEAU_INLINE float usual_erfinv(float x) { return x + x * near_erfinv_rest(erfinv_variable(x)); }
FLAMBEAU_INLINE double near_erfinv(double x, double w) {
  constexpr double q[] = {
      1.6536545626831029,      0.2401581824255895,      -0.0060336708714306703,  -7.4070253416531521e-4,
      1.8673420803632532e-4,   -1.3882523364895237e-5,  -1.3654692038181938e-6,  4.2347878041562851e-7,
      -2.907036684211488e-8,   -4.1126351685608975e-9,  1.0512107659973153e-9,   -5.4153723640863635e-11,
      -1.2974680273583887e-11, 2.6334262836996404e-12,  -8.1606555625950667e-14, -4.0534702049118416e-14,
      6.6484058622933039e-15,  2.0086170848371987e-17,  -1.3414154658393304e-16, 1.1197996546782332e-17,
      1.3214768488546108e-18,  -1.6928364337016284e-19, -4.3087727442386929e-21};
  return x * polynomial(w - 3.125, q);
}
FLAMBEAU_INLINE double usual_erfinv(double x) { return near_erfinv(x, erfinv_variable(x)); }
FLAMBEAU_INLINE float erfinv(float x) {
  constexpr float far[] = {9.51328561e-01f,   1.003619742e+00f, 7.160967065e-03f,  -5.408049079e-03f, 3.870244601e-03f,
                           -2.574225042e-03f, 1.326519118e-03f, -3.163766922e-04f, -1.820414753e-04f, 1.309702929e-04f};
  const float w = erfinv_variable(x), bounded = w < 16.0f ? w : 16.0f;
  const float near = near_erfinv_rest(w), beyond = polynomial(std::sqrt(bounded) - 3.118034f, far);
  const float y = x * (w < 5.0f ? 1.0f : 2.0f) + x * (w < 5.0f ? near : beyond);
  return std::fabs(x) < 1.0f ? y : (x == 1.0f ? INFINITY : (x == -1.0f ? -INFINITY : NAN));
}
FLAMBEAU_BY_DOUBLE(special_erfcx)
FLAMBEAU_BY_DOUBLE(special_log_ndtr)
FLAMBEAU_BY_DOUBLE(special_ndtri)

// Returns -x log(x), the contribution of a probability x to an entropy. At x = 0, this is its limit 0.
template <class V>
FLAMBEAU_INLINE V special_entr(V x) {
  const V y = -x * log(x);
  return x == V(0) ? V(0) : (x < V(0) ? -V(INFINITY) : y);
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
