// The error function, its complement and inverse, and with them the normal distribution. Computed in double for both
// types: the rounding to float32 is then all the error there. Rational approximations: Cephes (Moshier, 1989); inverse:
// Wichura 1988, Algorithm AS 241, Applied Statistics 37.
#pragma once

#include "kernels/math/power.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// A division is slow, so that functions of several ranges choose a fraction first and divide once.
struct Fraction {
  double over, under;
};
FLAMBEAU_INLINE Fraction blend(bool mask, Fraction a, Fraction b) {
  return {blend(mask, a.over, b.over), blend(mask, a.under, b.under)};
}
// erf(x) / x as a function of z = x**2 <= 1.
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
// e**(x**2) * erfc(x): from 1 to 8, and beyond to 1e40.
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
// e**(-x**2 * factor), x >= 0, with what rounding the square lost.
FLAMBEAU_INLINE double exp_minus_square(double x, double factor) {
  const double bounded = within(x, 0.0, 60.0);
  const Pair square = product(bounded, bounded);
  const double y = exp_falling(-factor * square.high);
  return y - y * factor * square.low;
}

FLAMBEAU_INLINE double erf(double x) {
  const double a = std::fabs(x), inside = a < 1.0 ? a : 1.0, outside = within(a, 1.0, 7.0);
  const bool near = a < 1.0;
  const Fraction series = erf_series(inside * inside), tail = erfcx_middle(outside);
  const double quotient =
      (near ? series.over * a : tail.over * exp_falling(-outside * outside)) / (near ? series.under : tail.under);
  return x != x ? x : std::copysign(near ? quotient : 1.0 - quotient, x);
}
FLAMBEAU_INLINE double erfc(double x) {
  const double a = std::fabs(x), inside = a < 1.0 ? x : 1.0, outside = a < 1.0 ? 1.0 : a;
  const bool near = a < 1.0;
  const Fraction series = erf_series(inside * inside), tail = erfcx_tail(outside);
  const double quotient =
      (near ? inside * series.over : exp_minus_square(outside, 1.0) * tail.over) / (near ? series.under : tail.under);
  return x != x ? x : (near ? 1.0 - quotient : (x < 0.0 ? 2.0 - quotient : quotient));
}
FLAMBEAU_INLINE double erfcx_quotient(double x) {  // at x >= 1
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
FLAMBEAU_INLINE double special_ndtr(double x) {
  const double t = x * 0.7071067811865476, a = std::fabs(t), inside = a < 1.0 ? t : 1.0;
  const bool near = a < 1.0;
  const Fraction series = erf_series(inside * inside), tail = erfcx_tail(near ? 1.0 : a);
  const double quotient = 0.5 * (near ? inside * series.over : exp_minus_square(std::fabs(x), 0.5) * tail.over) /
                          (near ? series.under : tail.under);
  return x != x ? x : (near ? 0.5 + quotient : (x < 0.0 ? quotient : 1.0 - quotient));
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

// The quantile of the normal distribution at 1/2 + q, with tail the smaller of the probabilities on its two sides.
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
// e**(x**2) * erfc(x), 0 <= x <= 10.2, with an error of 2e-10: a polynomial in 1 / (1 + x / 2).
FLAMBEAU_INLINE double erfcx_single(double x) {
  constexpr double q[] = {-4.994633837163326e-7, 2.8211423623184137e-1, 2.8175804822265664e-1,  2.5026461303754596e-1,
                          1.5338090043001188e-1, 1.8956152193049179e-1, -3.4986900226165529e-1, 7.4380814621409841e-1,
                          -1.3456187718278306,   1.3718074044169942,    -7.9320254081519657e-1, 2.496824542579577e-1,
                          -3.3686513820844966e-2};
  return polynomial(1.0 / (1.0 + 0.5 * x), q);
}
// Squares of float32 numbers are exact in double.
FLAMBEAU_INLINE float erfc(float x) {
  const double a = within(std::fabs(static_cast<double>(x)), 0.0, 10.2), tail = exp_falling(-a * a) * erfcx_single(a);
  return x != x ? x : static_cast<float>(x < 0.0f ? 2.0 - tail : tail);
}
FLAMBEAU_INLINE float special_ndtr(float x) {
  const double a = within(std::fabs(static_cast<double>(x)), 0.0, 14.4);
  const double tail = 0.5 * exp_falling(-0.5 * a * a) * erfcx_single(a * 0.7071067811865476);
  return x != x ? x : static_cast<float>(x > 0.0f ? 1.0 - tail : tail);
}
// Giles 2010: erfinv(x) / x is smooth in w = -log(1 - x**2), and for large w in its root. The polynomials are what is
// left beside 1 and 2.
FLAMBEAU_INLINE float erfinv(float x) {
  constexpr float near[] = {5.01409360e-01f,  2.466402785e-01f,  -4.177388474e-03f, -1.252725227e-03f,
                            2.183458868e-04f, -4.973069668e-06f, -3.463093070e-06f, 4.682669734e-07f,
                            2.326480012e-08f, -8.941414069e-09f};
  constexpr float far[] = {9.51328561e-01f,   1.003619742e+00f, 7.160967065e-03f,  -5.408049079e-03f, 3.870244601e-03f,
                           -2.574225042e-03f, 1.326519118e-03f, -3.163766922e-04f, -1.820414753e-04f, 1.309702929e-04f};
  const float w = -log((1.0f - x) * (1.0f + x)), bounded = w < 16.0f ? w : 16.0f;
  const bool small = w < 5.0f;
  const float rest = small ? polynomial(w - 2.5f, near) : polynomial(std::sqrt(bounded) - 3.118034f, far);
  const float y = x * (small ? 1.0f : 2.0f) + x * rest;
  return std::fabs(x) < 1.0f ? y : (x == 1.0f ? INFINITY : (x == -1.0f ? -INFINITY : NAN));
}
FLAMBEAU_BY_DOUBLE(special_erfcx)
FLAMBEAU_BY_DOUBLE(special_log_ndtr)
FLAMBEAU_BY_DOUBLE(special_ndtri)

// x log(x), its limit at 0: the entropy of one probability.
template <class V>
FLAMBEAU_INLINE V special_entr(V x) {
  const V y = -x * log(x);
  return x == V(0) ? V(0) : (x < V(0) ? -V(INFINITY) : y);
}

// Phi(x), absolutely rather than relatively exact: for GELU, where the error counts relative to x.
FLAMBEAU_INLINE float _normal_cdf(float x) {
  constexpr float q[] = {1.151108861e+00f, 4.591643214e-01f, 5.266664177e-02f, -7.363173179e-03f,
                         4.070123541e-04f, 5.768690244e-05f, -8.857201465e-06f};
  const float a = std::fabs(x), near = a < 5.6f ? a : 5.6f;
  const float beyond = a > 5.6f ? 0.0f : 0.5f * exp2(-near * polynomial(near, q));  // 1 - Phi(|x|)
  return x != x ? x : (x > 0.0f ? 1.0f - beyond : beyond);
}
FLAMBEAU_INLINE double _normal_cdf(double x) { return 0.5 + 0.5 * erf(x * 0.7071067811865476); }

}  // namespace flambeau::kernels::FLAMBEAU_ISA
