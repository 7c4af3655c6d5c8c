// Circular and hyperbolic functions and their inverses. Coefficients: sine, cosine and arc sine of float64 from FDLIBM
// (Sun Microsystems, 1993); arc tangent of both, arc sine of float32 from Cephes (Moshier, 1989).
#pragma once

#include "kernels/math/exponential.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// Sine and cosine reduce arguments up to this one; for larger ones see unbounded.h.
template <class V>
inline constexpr V kLargestAngle = sizeof(V) == 4 ? V(1e8) : V(1e6);

template <class V>
struct Reduced {  // x = quadrant * pi/2 + angle + rest, |angle| <= pi/4
  V angle, rest;
  std::conditional_t<sizeof(V) == 4, int32_t, int64_t> quadrant;
};
FLAMBEAU_INLINE Reduced<double> reduce_half_pi(double x) {
  // pi/2 in parts of 33 bits, whose products by whole numbers below 2**20 are exact.
  constexpr double kFirst = 1.57079632673412561417e+00, kSecond = 6.07710050630396597660e-11,
                   kThird = 2.02226624871116645580e-21, kTail = 8.47842766036889956997e-32;
  const double n = nearest(x * 0.6366197723675814);
  const double a = x - n * kFirst, b = a - n * kSecond, low = n * kThird - ((a - b) - n * kSecond);
  const double angle = b - low, rest = ((b - angle) - low) - n * kTail;
  return {angle, rest, whole_bits(n)};
}
FLAMBEAU_INLINE Reduced<float> reduce_half_pi(float x) {
  const double wide = x, n = nearest(wide * 0.6366197723675814);
  const double angle = (wide - n * 1.57079631090164184570e+00) - n * 1.58932547735281966916e-08;
  return {static_cast<float>(angle), 0.0f, static_cast<int32_t>(n)};
}
FLAMBEAU_INLINE float sin_reduced(Reduced<float> x) {
  constexpr float q[] = {-1.666666664e-01f, 8.333329144e-03f, -1.983925659e-04f, 2.717564136e-06f};
  const float r = x.angle;
  return r + r * (r * r) * polynomial(r * r, q);
}
FLAMBEAU_INLINE float cos_reduced(Reduced<float> x) {
  constexpr float q[] = {4.166666662e-02f, -1.388888344e-03f, 2.479943634e-05f, -2.720329880e-07f};
  const float square = x.angle * x.angle;
  return 1.0f - square * (0.5f - square * polynomial(square, q));
}
FLAMBEAU_INLINE double sin_reduced(Reduced<double> x) {
  constexpr double q[] = {8.33333333332248946124e-03, -1.98412698298579493134e-04, 2.75573137070700676789e-06,
                          -2.50507602534068634195e-08, 1.58969099521155010221e-10};
  const double z = x.angle * x.angle, v = z * x.angle;
  return x.angle - ((z * (0.5 * x.rest - v * polynomial(z, q)) - x.rest) - v * -1.66666666666666324348e-01);
}
FLAMBEAU_INLINE double cos_reduced(Reduced<double> x) {
  constexpr double q[] = {4.16666666666666019037e-02,  -1.38888888888741095749e-03, 2.48015872894767294178e-05,
                          -2.75573143513906633035e-07, 2.08757232129817482790e-09,  -1.13596475577881948265e-11};
  const double z = x.angle * x.angle, half = 0.5 * z, w = 1.0 - half;
  return w + (((1.0 - w) - half) + (z * (z * polynomial(z, q)) - x.angle * x.rest));
}
template <class V>
FLAMBEAU_INLINE V sine_of_quadrant(V x, int shift) {
  const auto reduced = reduce_half_pi(std::fabs(x) <= kLargestAngle<V> ? x : V(0));
  const auto quadrant = reduced.quadrant + shift;
  const V s = sin_reduced(reduced), k = cos_reduced(reduced), value = quadrant & 1 ? k : s;
  return std::fabs(x) < V(INFINITY) ? (quadrant & 2 ? -value : value) : V(NAN);
}
FLAMBEAU_INLINE float sin(float x) { return x == 0.0f ? x : sine_of_quadrant(x, 0); }  // -0 keeps its sign
FLAMBEAU_INLINE double sin(double x) { return x == 0.0 ? x : sine_of_quadrant(x, 0); }
FLAMBEAU_INLINE float cos(float x) { return sine_of_quadrant(x, 1); }
FLAMBEAU_INLINE double cos(double x) { return sine_of_quadrant(x, 1); }
template <class V>
FLAMBEAU_INLINE V tan(V x) {
  const auto reduced = reduce_half_pi(std::fabs(x) <= kLargestAngle<V> ? x : V(0));
  const V s = sin_reduced(reduced), k = cos_reduced(reduced);
  const V above = reduced.quadrant & 1 ? -k : s, below = reduced.quadrant & 1 ? s : k;
  const V y = std::fabs(x) < V(INFINITY) ? above / below : V(NAN);
  return x == V(0) ? x : y;
}

// (asin(s) - s) / s as a function of z = s**2 <= 1/4.
FLAMBEAU_INLINE float asin_series(float z) {
  constexpr float q[] = {1.6666752422e-1f, 7.4953002686e-2f, 4.5470025998e-2f, 2.4181311049e-2f, 4.2163199048e-2f};
  return z * polynomial(z, q);
}
FLAMBEAU_INLINE double asin_series(double z) {
  constexpr double p[] = {1.66666666666666657415e-01,  -3.25565818622400915405e-01, 2.01212532134862925881e-01,
                          -4.00555345006794114027e-02, 7.91534994289814532176e-04,  3.47933107596021167570e-05};
  constexpr double q[] = {1.0, -2.40339491173441421878e+00, 2.02094576023350569471e+00, -6.88283971605453293030e-01,
                          7.70381505559019352791e-02};
  return z * polynomial(z, p) / polynomial(z, q);
}
template <class V>
inline constexpr V kHalfPi = V(1.5707963267948966);
template <class V>
inline constexpr V kHalfPiRest = sizeof(V) == 4 ? V(-4.37113883e-8f) : V(6.123233995736766e-17);

// asin(|x|) where |x| < 1/2, else (pi/2 - asin(|x|)) / 2.
template <class V>
FLAMBEAU_INLINE V arc_sine(V x) {
  const V a = std::fabs(x), z = a < V(0.5) ? a * a : (V(1) - a) * V(0.5), root = std::sqrt(z),
          s = a < V(0.5) ? a : root;
  return s + s * asin_series(z);
}
template <class V>
FLAMBEAU_INLINE V asin(V x) {
  const V s = arc_sine(x), far = kHalfPi<V> - (V(2) * s - kHalfPiRest<V>);
  return std::copysign(std::fabs(x) < V(0.5) ? s : far, x);
}
template <class V>
FLAMBEAU_INLINE V acos(V x) {
  const V s = arc_sine(x), near = kHalfPi<V> - (std::copysign(s, x) - kHalfPiRest<V>);
  const V obtuse = V(2) * (kHalfPi<V> - (s - kHalfPiRest<V>)), far = x < V(0) ? obtuse : V(2) * s;
  return std::fabs(x) < V(0.5) ? near : far;
}

FLAMBEAU_INLINE float atan_series(float t) {  // atan(t) - t, |t| <= tan(pi/8)
  constexpr float q[] = {-3.33329491539e-1f, 1.99777106478e-1f, -1.38776856032e-1f, 8.05374449538e-2f};
  const float z = t * t;
  return z * polynomial(z, q) * t;
}
FLAMBEAU_INLINE double atan_series(double t) {  // |t| <= 0.66
  constexpr double p[] = {-6.485021904942025371773e1, -1.228866684490136173410e2, -7.500855792314704667340e1,
                          -1.615753718733365076637e1, -8.750608600031904122785e-1};
  constexpr double q[] = {1.945506571482613964425e2, 4.853903996359136964868e2, 4.328810604912902668951e2,
                          1.650270098316988542046e2, 2.485846490142306297962e1, 1.0};
  const double z = t * t;
  return z * polynomial(z, p) / polynomial(z, q) * t;
}
// The angle in the first quadrant whose tangent is y / x, both at least 0.
template <class V>
FLAMBEAU_INLINE V first_quadrant(V y, V x) {
  constexpr V kMiddle = sizeof(V) == 4 ? V(0.41421356237309503) : V(0.66);
  const bool far = y > V(2.414213562373095) * x, middle = !far & (y > kMiddle * x);
  const V above = blend(far, -x, blend(middle, y - x, y)), below = blend(far, y, blend(middle, x + y, x));
  const V t = above / below;
  const V base = blend(far, kHalfPi<V>, blend(middle, V(0.5) * kHalfPi<V>, V(0)));
  const V rest = blend(far, kHalfPiRest<V>, blend(middle, V(0.5) * kHalfPiRest<V>, V(0)));
  return base + (t + (atan_series(t) + rest));
}
template <class V>
FLAMBEAU_INLINE V atan(V x) {
  const V a = std::fabs(x), y = first_quadrant(a, V(1));
  return std::copysign(a == V(INFINITY) ? kHalfPi<V> : y, x);
}
template <class V>
FLAMBEAU_INLINE V atan2(V y, V x) {
  const V high = std::fabs(y), wide = std::fabs(x), larger = high > wide ? high : wide;
  // By a power of ten, so that neither sum nor quotient overflows or vanishes; equals (0 and infinity, too) become 1.
  const V factor = blend(larger > V(1e30), V(1e-20), blend(larger < V(1e-30), V(1e20), V(1)));
  const bool same = high == wide;
  const V angle = first_quadrant(blend(same, V(1), high * factor), blend(same, V(1), wide * factor));
  const V acute = blend(larger == V(0), V(0), blend((high == V(INFINITY)) & !same, kHalfPi<V>, angle));
  const V turned = V(2) * kHalfPi<V> - (acute - V(2) * kHalfPiRest<V>);
  return std::copysign(blend((x != x) | (y != y), V(NAN), blend(negative_bit(x), turned, acute)), y);
}
// sqrt(x**2 + y**2): in double for float32; scaled by a power of two for float64 where the squares leave its range.
FLAMBEAU_INLINE float hypot(float x, float y) {
  const double wide = x, high = y, sum = std::sqrt(wide * wide + high * high);
  return blend((std::fabs(x) == INFINITY) | (std::fabs(y) == INFINITY), float(INFINITY), static_cast<float>(sum));
}
FLAMBEAU_INLINE double hypot(double x, double y) {
  const double a = std::fabs(x), b = std::fabs(y), larger = a > b ? a : b;
  const double factor = blend(larger > 0x1p500, 0x1p-600, blend(larger < 0x1p-500, 0x1p600, 1.0));
  const double inverse = blend(larger > 0x1p500, 0x1p600, blend(larger < 0x1p-500, 0x1p-600, 1.0));
  const double u = x * factor, v = y * factor, sum = std::sqrt(u * u + v * v) * inverse;
  return blend((a == INFINITY) | (b == INFINITY), double(INFINITY), sum);
}

// e**x / 2, which overflows later than e**x.
template <class V>
FLAMBEAU_INLINE V half_exp(V x) {
  constexpr V kLargest = sizeof(V) == 4 ? V(90) : V(711);
  const auto e = exp_parts(within(x, V(0), kLargest));
  return scale(one_more(e), e.whole - V(1));
}
template <class V>
FLAMBEAU_INLINE V cosh(V x) {
  const V half = half_exp(std::fabs(x));
  return x != x ? x : half + V(0.25) / half;
}
template <class V>
FLAMBEAU_INLINE V sinh(V x) {
  const V a = std::fabs(x), half = half_exp(a), t = expm1(a < V(1) ? a : V(1));
  const bool near = a < V(1);  // one division serves both
  const V quotient = (near ? t : V(-0.5)) / (near ? t + V(1) : half);
  return x != x ? x : std::copysign(near ? V(0.5) * (quotient + t) : V(0.5) * quotient + half, x);
}
FLAMBEAU_INLINE float tanh(float x) {
  constexpr float q[] = {-3.333333091e-01f, 1.333320975e-01f,  -5.394720329e-02f,
                         2.170296228e-02f,  -8.182662951e-03f, 2.147527617e-03f};
  const float a = std::fabs(x);
  const float near = x + x * (x * x) * polynomial(x * x, q);
  const float far = 1.0f - 2.0f / (exp(2.0f * a) + 1.0f);
  return std::copysign(a < 0.625f ? near : far, x);  // -0 keeps its sign
}
FLAMBEAU_INLINE double tanh(double x) {
  const double a = std::fabs(x), t = expm1(a < 20.0 ? 2.0 * a : 40.0);
  return x != x ? x : std::copysign(a < 20.0 ? t / (t + 2.0) : 1.0, x);
}

template <class V>
inline constexpr V kHuge = sizeof(V) == 4 ? V(1e10) : V(1e20);  // its square plus 1 is its square
template <class V>
FLAMBEAU_INLINE V asinh(V x) {
  const V a = std::fabs(x), bounded = a < kHuge<V> ? a : V(0), square = bounded * bounded;
  const V over = a < kHuge<V> ? bounded + square / (V(1) + std::sqrt(V(1) + square)) : a;
  return std::copysign(log1p(over) + (a < kHuge<V> ? V(0) : V(0.6931471805599453)), x);
}
template <class V>
FLAMBEAU_INLINE V acosh(V x) {
  const V t = x - V(1), bounded = x < kHuge<V> ? t : V(0);
  const V over = x < kHuge<V> ? bounded + std::sqrt(V(2) * bounded + bounded * bounded) : x;
  const V y = log1p(over) + (x < kHuge<V> ? V(0) : V(0.6931471805599453));
  return x >= V(1) ? y : V(NAN);
}
template <class V>
FLAMBEAU_INLINE V atanh(V x) {
  const V a = std::fabs(x), twice = a + a;
  const V y = V(0.5) * log1p(twice + twice * a / (V(1) - a));
  return a <= V(1) ? std::copysign(a == V(1) ? V(INFINITY) : y, x) : V(NAN);
}

// sin(pi x) / (pi x), the angle reduced before it is multiplied: it stays exact about the zeros.
template <class V>
FLAMBEAU_INLINE V sinc(V x) {
  const V whole = std::rint(x), angle = V(3.141592653589793) * (x - whole), half = whole * V(0.5);
  const V sine = sin(angle) * (V(1) - V(4) * std::fabs(half - std::rint(half)));  // the sign alternates
  const V y = sine / (V(3.141592653589793) * x);
  return x == V(0) ? V(1) : y;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
