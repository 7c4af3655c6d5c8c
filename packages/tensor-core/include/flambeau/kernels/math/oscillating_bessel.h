// Bessel functions of the first and second kind of orders 0 and 1, and the spherical function of order 0, by Chebyshev
// series that were computed with 40 digits. Up to x = 8, the series are in x**2, with the zeros divided out and, for
// the second kind, the logarithmic part subtracted. For larger x, they are polynomials in (8 / x)**2 for the slowly
// varying amplitudes p and x * q in sqrt(2 / (pi x)) * (p cos(x - phase) - q sin(x - phase)).
#pragma once

#include "flambeau/kernels/math/chebyshev.h"
#include "flambeau/kernels/math/unbounded.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace series {

// Coefficients of the series. They are templates; bessel.h states the reason.
template <class V>
inline constexpr double j0_near[] = {-2.6662941994458526e-5,  2.9532957425506737e-5,   -1.4423681512582509e-5,
                                     4.1966383225658304e-6,   -8.2728041597833217e-7,  1.1892767699589979e-7,
                                     -1.3086636321133497e-8,  1.1411484161616146e-9,   -8.0948622848038631e-11,
                                     4.7685069393526869e-12,  -2.3719707401833106e-13, 1.0101614986635393e-14,
                                     -3.7264323988155009e-16, 1.2059252528869031e-17,  -3.4331767864781141e-19};
template <class V>
inline constexpr double j0_zeros[] = {5.783185962946784, 30.471262343662087, 74.88700679069518};
template <class V>
inline constexpr double j0_zeros_rest[] = {4.123247343506204e-16, -2.3665344857506588e-16, 1.7099708902593308e-15};
template <class V>
inline constexpr double j1_near[] = {-2.7271448834411235e-6,  2.5522382124646334e-6,   -1.0759319268040334e-6,
                                     2.7483022124820187e-7,   -4.8218642035079728e-8,  6.2391661263023406e-9,
                                     -6.2376574369599296e-10, 4.9810432858870487e-11,  -3.2576601297657918e-12,
                                     1.7796220904321523e-13,  -8.2509707562082265e-15, 3.289852605815828e-16,
                                     -1.1439948591400657e-17, 3.4809935343380113e-19};
template <class V>
inline constexpr double j1_zeros[] = {14.681970642123893, 49.2184563216946, 103.49945389513658};
template <class V>
inline constexpr double j1_zeros_rest[] = {-9.858177825793294e-17, 5.0863540694363411e-16, -2.2274203792450066e-15};
template <class V>
inline constexpr double y0_near[] = {0.036454698091160444,    -0.27832370940758248,    0.29604999902071482,
                                     0.098255084081878641,    -0.10755155280627784,    0.031799074084414515,
                                     -0.0051613971058107149,  0.00054985253200390115,  -4.1996983149420131e-5,
                                     2.4290361107923794e-6,   -1.1049969793472956e-7,  4.0665173659791105e-9,
                                     -1.2374148898289852e-10, 3.1685725528945944e-12,  -6.9269560324310011e-14,
                                     1.3086308625876684e-15,  -2.1586201986914483e-17, 3.1368631824799381e-19};
template <class V>
inline constexpr double y1_near[] = {0.038300769852423779,    -0.081825614127328264,  -0.024867707612196401,
                                     0.047967452752746983,    -0.018525884510898022,  0.0036806076878235111,
                                     -0.00046272540602933687, 4.0694002695808699e-5,  -2.6617695125295626e-6,
                                     1.3506026913254338e-7,   -5.4835241103362766e-9, 1.8245086841229008e-10,
                                     -5.0706666365911291e-12, 1.1956162517587949e-13, -2.4231624427124732e-15,
                                     4.2681265130729624e-17,  -6.5960609787230412e-19};
template <class V>
inline constexpr double p0[] = {0.99945727578825195,     -0.0005363673192130047,  6.1374160801094975e-6,
                                -2.0527448156307147e-7,  1.280376144080092e-8,    -1.2121182069774233e-9,
                                1.5500565496632597e-10,  -2.4882702786880544e-11, 4.7869958213680279e-12,
                                -1.0636861151667626e-12, 2.4531772967345006e-13,  -6.4167810080154145e-14,
                                3.339452259070809e-14,   -1.180002783020184e-14};
template <class V>
inline constexpr double q0[] = {
    -0.12444091103610815,    0.00054665192794751095, -1.1817110661200975e-5,  5.6849718876187499e-7,
    -4.5349728373634339e-8,  5.1462252685390581e-9,  -7.5763304988972e-10,    1.36265138876175e-10,
    -2.8707211071105146e-11, 6.8780548765768612e-12, -1.8736407435432958e-12, 5.5702668014199676e-13,
    -1.3137515498826536e-13, 3.750385225206321e-14,  -4.0574096424030339e-14, 1.7159223662634758e-14};
template <class V>
inline constexpr double p1[] = {1.0009070262780822,      0.00089880494167055791,  -7.9596946984383005e-6,
                                2.4536766222672441e-7,   -1.4708512991275257e-8,  1.3603058049468316e-9,
                                -1.7131074852941311e-10, 2.720406848040165e-11,   -5.191158004646548e-12,
                                1.1462229852806784e-12,  -2.6335760672461096e-13, 6.8644866648461814e-14,
                                -3.5455617466606254e-14, 1.2489929194563941e-14};
template <class V>
inline constexpr double q1[] = {
    0.37421499221959182,    -0.00076971670576435412, 1.4569614809851412e-5,  -6.6335685672178796e-7,
    5.1361059970711926e-8,  -5.7208842284099816e-9,  8.3160773500382614e-10, -1.4819760550541305e-10,
    3.1003648372305748e-11, -7.3875756526956234e-12, 2.0027287747665846e-12, -5.9306634297115336e-13,
    1.3996264453471973e-13, -3.9930634717453951e-14, 4.2756218221948176e-14, -1.8043072000621921e-14};

// Evaluates a polynomial in t, truncated to the terms that V needs.
template <class V, const auto& coefficients, int k = needed_terms<V>(coefficients) - 1>
FLAMBEAU_INLINE double powers(double t, double sum = 0.0) {
  sum = sum * t + coefficients[k];
  if constexpr (k == 0)
    return sum;
  else
    return powers<V, coefficients, k - 1>(t, sum);
}
// Returns J0(x) or J1(x) / x for |x| <= 8, computed as a polynomial in x**2 times the differences between x**2 and the
// squares of the first three zeros.
template <class V, const auto& coefficients, const auto& zeros, const auto& zeros_rest>
FLAMBEAU_INLINE double near_wave(double square) {
  const auto distance = [=](int k) __attribute__((always_inline)) { return (square - zeros[k]) - zeros_rest[k]; };
  return distance(0) * distance(1) * distance(2) * powers<V, coefficients>(square * 0.03125 - 1.0);
}

struct Waves {  // values of the functions of the first and of the second kind
  double first, second;
};
// Returns the functions at x >= 8, computed from the sine and cosine of x. The phase is pi/4 for order 0 and 3 pi/4 for
// order 1.
template <class V, const auto& in_phase, const auto& out_of_phase>
FLAMBEAU_INLINE Waves waves(double x, int order, double sine, double cosine) {
  const double inverse = 1.0 / x, t = 128.0 * inverse * inverse - 1.0;
  const double p = powers<V, in_phase>(t), q = powers<V, out_of_phase>(t) * inverse;
  const double c = order == 0 ? sine + cosine : sine - cosine,
               d = order == 0 ? sine - cosine : -(sine + cosine);  // sqrt(2) times cosine and sine
  const double size = std::sqrt(inverse * 0.3183098861837907);
  return {size * (p * c - q * d), size * (p * d + q * c)};
}
template <class V, const auto& in_phase, const auto& out_of_phase>
FLAMBEAU_INLINE Waves far_waves(double x, int order) {
  return waves<V, in_phase, out_of_phase>(x, order, sin(x), cos(x));
}
// Returns the argument of the series for numbers above 8: `a`, or 8 if these series do not apply because `a` is at most
// 8 or beyond the range of the reduction.
template <class V>
FLAMBEAU_INLINE double far_argument(double a) {
  return (a > 8.0) & (a <= double(kLargestAngle<V>)) ? a : 8.0;
}

template <class V>
FLAMBEAU_INLINE double special_bessel_j0(double x) {
  const double a = std::fabs(x), inside = a < 8.0 ? a : 8.0;
  const double near = near_wave<V, j0_near<V>, j0_zeros<V>, j0_zeros_rest<V>>(inside * inside);
  const double far = far_waves<V, p0<V>, q0<V>>(far_argument<V>(a), 0).first;
  return x != x ? x : (a < 8.0 ? near : (a == INFINITY ? 0.0 : far));
}
template <class V>
FLAMBEAU_INLINE double special_bessel_j1(double x) {
  const double a = std::fabs(x), inside = a < 8.0 ? a : 8.0;
  const double near = inside * near_wave<V, j1_near<V>, j1_zeros<V>, j1_zeros_rest<V>>(inside * inside);
  const double far = far_waves<V, p1<V>, q1<V>>(far_argument<V>(a), 1).first;
  const double y = a < 8.0 ? near : (a == INFINITY ? 0.0 : far);
  return x != x ? x : (negative_bit(x) ? -y : y);
}
template <class V>
FLAMBEAU_INLINE double special_bessel_y0(double x) {
  const double inside = within(x, 0.0, 8.0), t = inside * inside * 0.03125 - 1.0;
  const double near =
      chebyshev<V, y0_near<V>>(t) +
      0.6366197723675814 * log(0.5 * inside) * near_wave<V, j0_near<V>, j0_zeros<V>, j0_zeros_rest<V>>(inside * inside);
  const double far = far_waves<V, p0<V>, q0<V>>(far_argument<V>(x), 0).second;
  return (x < 0.0) | (x != x) ? NAN : (x < 8.0 ? near : (x == INFINITY ? 0.0 : far));
}
template <class V>
FLAMBEAU_INLINE double special_bessel_y1(double x) {
  const double inside = within(x, 0.0, 8.0) + 0.0, t = inside * inside * 0.03125 - 1.0;
  const double smooth = inside * (chebyshev<V, y1_near<V>>(t) +
                                  0.6366197723675814 * log(0.5 * at_least(inside, 1e-300)) *
                                      near_wave<V, j1_near<V>, j1_zeros<V>, j1_zeros_rest<V>>(inside * inside));
  const double near = smooth - 0.6366197723675814 / inside;
  const double far = far_waves<V, p1<V>, q1<V>>(far_argument<V>(x), 1).second;
  return (x < 0.0) | (x != x) ? NAN : (x < 8.0 ? near : (x == INFINITY ? 0.0 : far));
}

template <class V>
FLAMBEAU_INLINE double special_spherical_bessel_j0(double x) {
  const double y = sin(x) / x;
  return x == 0.0 ? 1.0 : (std::fabs(x) == INFINITY ? 0.0 : y);
}

}  // namespace series

FLAMBEAU_BY_SERIES(special_bessel_j0)
FLAMBEAU_BY_SERIES(special_bessel_j1)
FLAMBEAU_BY_SERIES(special_bessel_y0)
FLAMBEAU_BY_SERIES(special_bessel_y1)
FLAMBEAU_BY_SERIES(special_spherical_bessel_j0)

// For angles that are too large for the reduction, the C library computes sine and cosine.
namespace series {
template <class V, const auto& in_phase, const auto& out_of_phase>
Waves unbounded_waves(double x, int order) {
  return waves<V, in_phase, out_of_phase>(x, order, std::sin(x), std::cos(x));
}
}  // namespace series
template <class T>
Unbounded<T> special_bessel_j0(Unbounded<T> x) {
  if (!is_unbounded(x.value)) return special_bessel_j0(x.value);
  return T(series::unbounded_waves<T, series::p0<T>, series::q0<T>>(std::fabs(x.value), 0).first);
}
template <class T>
Unbounded<T> special_bessel_j1(Unbounded<T> x) {
  if (!is_unbounded(x.value)) return special_bessel_j1(x.value);
  const T y = T(series::unbounded_waves<T, series::p1<T>, series::q1<T>>(std::fabs(x.value), 1).first);
  return x.value < 0 ? -y : y;
}
template <class T>
Unbounded<T> special_bessel_y0(Unbounded<T> x) {
  if (!is_unbounded(x.value) || x.value < 0) return special_bessel_y0(x.value);
  return T(series::unbounded_waves<T, series::p0<T>, series::q0<T>>(x.value, 0).second);
}
template <class T>
Unbounded<T> special_bessel_y1(Unbounded<T> x) {
  if (!is_unbounded(x.value) || x.value < 0) return special_bessel_y1(x.value);
  return T(series::unbounded_waves<T, series::p1<T>, series::q1<T>>(x.value, 1).second);
}
template <class T>
Unbounded<T> special_spherical_bessel_j0(Unbounded<T> x) {
  const double wide = x.value;
  return T(wide == 0 ? 1 : (std::isinf(wide) ? 0 : std::sin(wide) / wide));
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
