// Trigonometric and hyperbolic functions and their inverses. Sources of coefficients: FDLIBM (Sun Microsystems, 1993)
// for the cosine of float64 up to pi/4; Cephes (Moshier, 1989) for the arc tangent of both types and the arc sine of
// float32.
#pragma once

#include "flambeau/kernels/math/logarithm.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// Sine, cosine and tangent reduce arguments up to this limit; for larger arguments see unbounded.h.
template <class V>
inline constexpr V kLargestAngle = sizeof(V) == 4 ? V(1e5) : V(1e6);

// Returns x - n * pi for a multiple n of 1/2 with x near n * pi. The first subtraction is exact; the following
// subtractions round the remainder. std::fma is explicit, because some compilers do not fuse products and sums.
#ifdef __FMA__
FLAMBEAU_INLINE double subtract_multiple_of_pi(double x, double n) {
  return std::fma(n, 2.994769810131746e-33, std::fma(n, -1.2246467991473532e-16, std::fma(n, -3.141592653589793, x)));
}
FLAMBEAU_INLINE float subtract_multiple_of_pi(float x, float n) {
  return std::fma(n, 3.4302490200117637e-15f,
                  std::fma(n, 8.742277657347586e-08f, std::fma(n, -3.1415927410125732f, x)));
}
#else
FLAMBEAU_INLINE double subtract_multiple_of_pi(double x,
                                               double n) {  // pi in parts of 33 bits; their products with n are exact
  return (((x - n * 3.1415926534682512) - n * 1.2154201012607932e-10) - n * 4.044532497422333e-21) -
         n * 1.69568553207378e-31;
}
FLAMBEAU_INLINE float subtract_multiple_of_pi(float x, float n) {
  return static_cast<float>((double(x) - n * 3.141592651605606) - n * 1.984187159361081e-09);
}
#endif
// Returns an integer with the same low bits as the integer n.
FLAMBEAU_INLINE int64_t low_bits(double n) { return integer_bits(n); }
FLAMBEAU_INLINE int32_t low_bits(float n) { return bit_cast<int32_t>(n + 12582912.0f); }
template <class V>
FLAMBEAU_INLINE V negate_if_odd(V y, V n) {  // returns -y if n is odd, else y
  using Bits = decltype(low_bits(n));
  constexpr int kSign = 8 * sizeof(V) - 1;
  return bit_cast<V>(Bits(bit_cast<Bits>(y) ^ Bits(std::make_unsigned_t<Bits>(low_bits(n)) << kSign)));
}

// Returns (sin(r) - r) / r**3 as a function of z = r**2, |r| <= pi/2, computed by a minimax polynomial. The constant
// term is added last, so that the rounding errors of the other terms are small.
FLAMBEAU_INLINE float sine_series(float z) {
  constexpr float q[] = {8.33306834e-3f, -1.98096546e-4f, 2.60572824e-6f};
  return -1.66666597e-1f + z * polynomial(z, q);
}
FLAMBEAU_INLINE double sine_series(double z) {
  constexpr double q[] = {8.333333333333205e-3,  -1.9841269841211492e-4, 2.755731921135913e-6,  -2.5052106882371803e-8,
                          1.605893978349463e-10, -7.642985292506555e-13, 2.7210396319252567e-15};
  return -1.6666666666666666e-1 + z * polynomial(z, q);
}
template <class V>
FLAMBEAU_INLINE V sine_of_half_turn(V r) {
  const V z = r * r;
  return within(r + r * z * sine_series(z), V(-1), V(1));
}
template <class V>
FLAMBEAU_INLINE V sine(V x) {
  const V n = nearest(x * V(0.3183098861837907));
  return x == V(0) ? x : negate_if_odd(sine_of_half_turn(subtract_multiple_of_pi(x, n)), n);  // -0 keeps its sign
}
template <class V>
FLAMBEAU_INLINE V cosine(V x) {  // sin(x + pi/2)
  const V n = nearest(x * V(0.3183098861837907) + V(0.5));
  return negate_if_odd(sine_of_half_turn(subtract_multiple_of_pi(x, n - V(0.5))), n);
}
FLAMBEAU_INLINE float sin(float x) { return sine(x); }
FLAMBEAU_INLINE double sin(double x) { return sine(x); }
FLAMBEAU_INLINE float cos(float x) { return cosine(x); }
FLAMBEAU_INLINE double cos(double x) { return cosine(x); }

template <class V>
struct Quadrant {  // x = number * pi/2 + angle, |angle| <= pi/4
  V number, sine, cosine;
};
FLAMBEAU_INLINE float cosine_series(float z) {  // (cos(r) - 1 + z / 2) / z**2
  constexpr float q[] = {4.166666662e-02f, -1.388888344e-03f, 2.479943634e-05f, -2.720329880e-07f};
  return polynomial(z, q);
}
FLAMBEAU_INLINE double cosine_series(double z) {
  constexpr double q[] = {4.16666666666666019037e-02,  -1.38888888888741095749e-03, 2.48015872894767294178e-05,
                          -2.75573143513906633035e-07, 2.08757232129817482790e-09,  -1.13596475577881948265e-11};
  return polynomial(z, q);
}
template <class V>
FLAMBEAU_INLINE Quadrant<V> quadrant_of(V x) {
  const V number = nearest(x * V(0.6366197723675814)), r = subtract_multiple_of_pi(x, V(0.5) * number), z = r * r;
  return {number, r + r * z * sine_series(z), V(1) - z * (V(0.5) - z * cosine_series(z))};
}
template <class V>
FLAMBEAU_INLINE V tan(V x) {
  const auto q = quadrant_of(x);
  const bool odd = low_bits(q.number) & 1;
  return x == V(0) ? x : (odd ? -q.cosine : q.sine) / (odd ? q.sine : q.cosine);
}

// Returns (asin(s) - s) / s as a function of z = s**2 <= 1/4.
FLAMBEAU_INLINE float asin_series(float z) {
  constexpr float q[] = {1.6666752422e-1f, 7.4953002686e-2f, 4.5470025998e-2f, 2.4181311049e-2f, 4.2163199048e-2f};
  return z * polynomial(z, q);
}
FLAMBEAU_INLINE double asin_series(double z) {  // the same, by a minimax polynomial
  constexpr double q[] = {0.1666666666666676,   0.07499999999970625,  0.04464285717478432,  0.030381942699220288,
                          0.022372215237311373, 0.017351607379102324, 0.0139808778710266,   0.011398429022742898,
                          0.010783039232854655, 0.003695593257700585, 0.021734458007103684, -0.021038257747279687,
                          0.03265373400140297};
  return z * polynomial(z, q);
}
template <class V>
inline constexpr V kHalfPi = V(1.5707963267948966);
template <class V>
inline constexpr V kHalfPiRest = sizeof(V) == 4 ? V(-4.37113883e-8f) : V(6.123233995736766e-17);

// Returns asin(|x|) if |x| < 1/2, else (pi/2 - asin(|x|)) / 2.
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
FLAMBEAU_INLINE double atan_series(double t) {  // the same, with an error of 2**-59
  constexpr double q[] = {-0.333333333333331982,  0.199999999999538592,  -0.1428571428022784,    0.111111107851647953,
                          -0.09090897809752149,   0.0769206118007950649, -0.0666311535349458919, 0.0584797331449248332,
                          -0.0503968893650291161, 0.0380744272826680087, -0.0179180962516728409};
  const double z = t * t;
  return z * polynomial(z, q) * t;
}
// Returns the angle in [0, pi/2] whose tangent is y / x, for x >= 0 and y >= 0.
template <class V>
FLAMBEAU_INLINE V first_quadrant(V y, V x) {
  const bool far = y > V(2.414213562373095) * x, middle = !far & (y > V(0.41421356237309503) * x);
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
  // Scales both numbers by a power of ten, so that neither their sum nor their quotient overflows or underflows. If
  // they are equal, which includes zeros and infinities, replaces both by 1.
  const V factor = blend(larger > V(1e30), V(1e-20), blend(larger < V(1e-30), V(1e20), V(1)));
  const bool same = high == wide;
  const V angle = first_quadrant(blend(same, V(1), high * factor), blend(same, V(1), wide * factor));
  const V acute = blend(larger == V(0), V(0), blend((high == V(INFINITY)) & !same, kHalfPi<V>, angle));
  const V obtuse = V(2) * kHalfPi<V> - (acute - V(2) * kHalfPiRest<V>);
  return std::copysign(blend((x != x) | (y != y), V(NAN), blend(negative_bit(x), obtuse, acute)), y);
}
// std::fma is explicit, because a compiler may fuse either product with the sum, and choose differently for vectors.
FLAMBEAU_INLINE double sum_of_squares(double x, double y) {
#ifdef __FMA__
  return std::fma(x, x, y * y);
#else
  return x * x + y * y;
#endif
}
// Returns sqrt(x**2 + y**2). float32 is computed in double. float64 is scaled by a power of two if the squares would
// overflow or underflow.
FLAMBEAU_INLINE float hypot(float x, float y) {
  const double wide = x, high = y, sum = std::sqrt(wide * wide + high * high);
  return blend((std::fabs(x) == INFINITY) | (std::fabs(y) == INFINITY), float(INFINITY), static_cast<float>(sum));
}
FLAMBEAU_INLINE double hypot(double x, double y) {
  const double a = std::fabs(x), b = std::fabs(y), larger = a > b ? a : b;
  const double factor = blend(larger > 0x1p500, 0x1p-600, blend(larger < 0x1p-500, 0x1p600, 1.0));
  const double inverse = blend(larger > 0x1p500, 0x1p600, blend(larger < 0x1p-500, 0x1p-600, 1.0));
  const double u = x * factor, v = y * factor, sum = std::sqrt(sum_of_squares(u, v)) * inverse;
  return blend((a == INFINITY) | (b == INFINITY), double(INFINITY), sum);
}

// Returns e**x / 2, which overflows later than e**x.
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
  const bool near = a < V(1);  // one division for both cases
  const V quotient = (near ? t : V(-0.5)) / (near ? t + V(1) : half);
  return x != x ? x : std::copysign(near ? V(0.5) * (quotient + t) : V(0.5) * quotient + half, x);
}
template <class V>
FLAMBEAU_INLINE V tanh(V x) {  // exactly odd; 1 beyond the limit; -0 keeps its sign
  constexpr V limit = sizeof(V) == 4 ? V(18.1) : V(38.2);
  const V a = std::fabs(x), e = moderate_expm1(within(a + a, V(0), limit));
  return std::copysign(e / (e + V(2)), x);
}

template <class V>
inline constexpr V kHuge = sizeof(V) == 4 ? V(1e10) : V(1e20);  // x**2 + 1 == x**2 from here on
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

// Returns sin(pi x) / (pi x). x is reduced before the multiplication by pi, so that the result is accurate near the
// zeros.
template <class V>
FLAMBEAU_INLINE V sinc(V x) {
  const V whole = std::rint(x), angle = V(3.141592653589793) * (x - whole), half = whole * V(0.5);
  const V sine = sin(angle) * (V(1) - V(4) * std::fabs(half - std::rint(half)));  // the sign alternates
  const V y = sine / (V(3.141592653589793) * x);
  return x == V(0) ? V(1) : y;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
