// Elementary functions of complex numbers for GPUs, which have no C library, computed from functions of real numbers.
// Branch cuts, infinities and NaN follow C99's annex G.
//
// The inverse functions follow Hull, Fairgrieve and Tang 1997, "Implementing the complex arcsine and arccosine
// functions using exception handling", with Kahan's arc tangent. For float32 they compute in double, which does not
// overflow.
#pragma once

#include "flambeau/complex.h"
#include "flambeau/kernels/math.h"

namespace flambeau::complex_pointwise::FLAMBEAU_ISA {

template <class T>
inline constexpr T kLargestExponent = sizeof(T) == 4 ? T(88) : T(709);  // e to this power is finite

// Returns weight * e**a * {c, s}. The products may be finite even if e**a overflows.
template <class T>
inline Complex<T> times_exp(T a, T c, T s, T weight = T(1)) {
  if (!(a > kLargestExponent<T>)) {
    const T e = std::exp(a) * weight;
    return {e * c, e * s};
  }
  const T half = std::exp(a < T(2) * kLargestExponent<T> ? a * T(0.5) : kLargestExponent<T>), other = half * weight;
  return {(half * c) * other, (half * s) * other};
}
template <class T>
FLAMBEAU_SCALAR Complex<T> exp(Complex<T> z) {
  if (z.im == T(0)) return {std::exp(z.re), z.im};
  if (!(std::fabs(z.im) < T(INFINITY))) {
    if (z.re == -T(INFINITY)) return {T(0), T(0)};
    if (z.re == T(INFINITY)) return {z.re, z.im - z.im};
    return {z.im - z.im, z.im - z.im};
  }
  return times_exp(z.re, std::cos(z.im), std::sin(z.im));
}

template <class T>
FLAMBEAU_SCALAR Complex<T> sinh(Complex<T> z) {
  if (z.im == T(0)) return {std::sinh(z.re), z.im};
  if (!(std::fabs(z.im) < T(INFINITY))) {
    const T none = z.im - z.im;
    if (std::fabs(z.re) == T(INFINITY)) return {z.re, none};
    return {z.re == T(0) ? z.re : none, none};
  }
  const T c = std::cos(z.im), s = std::sin(z.im), a = std::fabs(z.re);
  if (z.re == T(0)) return {std::copysign(T(0), z.re) * c, s};
  if (a <= kLargestExponent<T>) return {std::sinh(z.re) * c, std::cosh(z.re) * s};
  const Complex<T> e = times_exp(a, c, s, T(0.5));
  return {std::copysign(T(1), z.re) * e.re, e.im};
}
template <class T>
FLAMBEAU_SCALAR Complex<T> cosh(Complex<T> z) {
  if (z.im == T(0)) return {std::cosh(z.re), z.re != z.re ? z.im : z.im * std::copysign(T(1), z.re)};
  if (!(std::fabs(z.im) < T(INFINITY))) {
    const T none = z.im - z.im;
    if (std::fabs(z.re) == T(INFINITY)) return {T(INFINITY), none};
    return {none, z.re == T(0) ? std::copysign(T(0), z.re) : none};
  }
  const T c = std::cos(z.im), s = std::sin(z.im), a = std::fabs(z.re);
  if (z.re == T(0)) return {c, z.re * s};
  if (a <= kLargestExponent<T>) return {std::cosh(z.re) * c, std::sinh(z.re) * s};
  const Complex<T> e = times_exp(a, c, s, T(0.5));
  return {e.re, std::copysign(T(1), z.re) * e.im};
}
// Kahan 1987: for t = tan y, beta = 1 + t**2, s = sinh x and rho = sqrt(1 + s**2), the result is (beta rho s + i t) /
// (1 + beta s**2).
template <class T>
FLAMBEAU_SCALAR Complex<T> tanh(Complex<T> z) {
  constexpr T kFar = sizeof(T) == 4 ? T(11) : T(22);
  const T a = std::fabs(z.re);
  if (a == T(INFINITY)) {
    const T sign = std::fabs(z.im) < T(INFINITY) ? std::sin(z.im) * std::cos(z.im) : z.im;
    return {std::copysign(T(1), z.re), std::copysign(T(0), sign)};
  }
  if (z.re != z.re) return {z.re, z.im == T(0) ? z.im : z.re};
  if (!(std::fabs(z.im) < T(INFINITY))) return {z.re == T(0) ? z.re : z.im - z.im, z.im - z.im};
  if (a >= kFar) {
    const T e = std::exp(-a);
    return {std::copysign(T(1), z.re), T(4) * std::sin(z.im) * std::cos(z.im) * e * e};
  }
  const T t = std::tan(z.im), beta = T(1) + t * t, s = std::sinh(z.re), rho = std::sqrt(T(1) + s * s);
  if (!(std::fabs(t) < T(INFINITY))) return {rho / s, T(1) / t};
  const T denominator = T(1) + beta * s * s;
  return {beta * rho * s / denominator, t / denominator};
}

template <class T>
inline Complex<T> times_i(Complex<T> z) {  // i z
  return {-z.im, z.re};
}
template <class T>
inline Complex<T> times_minus_i(Complex<T> z) {  // -i z
  return {z.im, -z.re};
}
template <class T>
inline Complex<T> sin(Complex<T> z) {
  return times_minus_i(sinh(times_i(z)));
}
template <class T>
inline Complex<T> cos(Complex<T> z) {
  return cosh(times_i(z));
}
template <class T>
inline Complex<T> tan(Complex<T> z) {
  return times_minus_i(tanh(times_i(z)));
}

// Returns a**2 + b**2 - 1 for a >= b >= 0. The rounding errors of the squares are compensated, because they matter if
// the sum of the squares is near 1.
template <class T>
inline T square_less_one(T a, T b) {
  const T p = a * a, p_rest = std::fma(a, a, -p), q = b * b, q_rest = std::fma(b, b, -q);
  const T high = p - T(1), sum = high + q, part = sum - high;
  return sum + (((high - (sum - part)) + (q - part)) + (p_rest + q_rest));
}
template <class T>
inline T log_modulus(Complex<T> z) {
  // Numbers whose squares would overflow or underflow are scaled by 2**kSteps or 2**-kSteps.
  constexpr int kSteps = sizeof(T) == 4 ? 100 : 700;
  constexpr T kUp = T(sizeof(T) == 4 ? 0x1p100 : 0x1p700), kDown = T(1) / kUp;
  constexpr T kLow = T(sizeof(T) == 4 ? 0x1p-50 : 0x1p-500), kHigh = T(1) / kLow;
  const T x = std::fabs(z.re), y = std::fabs(z.im);
  T a = x > y ? x : y, b = x > y ? y : x, steps = T(0);
  if (a == T(INFINITY) || b == T(INFINITY)) return T(INFINITY);
  if (a < kLow || a > kHigh) {
    const T factor = a < kLow ? kUp : kDown;
    steps = a < kLow ? T(-kSteps) : T(kSteps), a *= factor, b *= factor;
  }
  const T square = a * a + b * b;
  if (square > T(0.5) && square < T(3)) return T(0.5) * std::log1p(square_less_one(a, b));
  return T(0.5) * std::log(square) + steps * T(0.6931471805599453);
}
template <class T>
FLAMBEAU_SCALAR Complex<T> log(Complex<T> z) {
  return {log_modulus(z), std::atan2(z.im, z.re)};
}

template <class T>
FLAMBEAU_SCALAR Complex<T> sqrt(Complex<T> z) {
  constexpr T kHigh = std::numeric_limits<T>::max() / T(4), kLow = std::numeric_limits<T>::min() * T(4);
  if (std::fabs(z.im) == T(INFINITY)) return {T(INFINITY), z.im};
  if (z.re != z.re) return {z.re, z.re};
  if (z.re == T(INFINITY)) return {z.re, z.im != z.im ? z.im : std::copysign(T(0), z.im)};
  if (z.re == -T(INFINITY)) return {z.im != z.im ? z.im : T(0), std::copysign(T(INFINITY), z.im)};
  if (z.re == T(0) && z.im == T(0)) return {T(0), z.im};
  T x = std::fabs(z.re), y = std::fabs(z.im), back = T(1);
  if (x >= kHigh || y >= kHigh) {
    x *= T(0.25), y *= T(0.25), back = T(2);
  } else if (x <= kLow && y <= kLow) {
    constexpr T up = sizeof(T) == 4 ? T(0x1p24f) : T(0x1p54);
    x *= up, y *= up, back = sizeof(T) == 4 ? T(0x1p-12f) : T(0x1p-27);
  }
  const T t = std::sqrt(T(0.5) * (x + std::hypot(x, y))), other = y / (T(2) * t) * back, root = t * back;
  return z.re >= T(0) ? Complex<T>(root, std::copysign(other, z.im)) : Complex<T>(other, std::copysign(root, z.im));
}

// The inverse trigonometric and hyperbolic functions in double. Real and imaginary parts are computed for the first
// quadrant.
namespace inverse {

inline constexpr double kEpsilon = 0x1p-52, kFar = 0x1p53;  // beyond kFar, x * x + 1 == x * x
inline constexpr double kLn2 = 0.6931471805599453, kHalfPi = 1.5707963267948966, kHalfPiRest = 6.123233995736766e-17;

// Returns (hypotenuse - b) / 2, computed without cancellation. `hypotenuse` must be hypot(a, b).
inline double half_excess(double a, double b, double hypotenuse) {
  return b < 0 ? (hypotenuse - b) * 0.5 : (b == 0 ? a * 0.5 : a * a / (hypotenuse + b) * 0.5);
}
// Returns log(2 |z|) for a large number z = x + iy.
inline double log_twice(double x, double y) { return log_modulus(Complex<double>(x * 0.5, y * 0.5)) + 2 * kLn2; }

struct ArcSine {  // parts of asinh(x + iy) for x, y >= 0
  double real;
  double sine, cosine;  // sine and cosine of the imaginary part, multiplied by a common positive factor
};
FLAMBEAU_SCALAR ArcSine arc_sine(double x, double y) {
  const double r = std::hypot(x, y + 1), s = std::hypot(x, y - 1);
  const double mean = (r + s) * 0.5, a = mean < 1 ? 1 : mean;
  ArcSine out;
  if (a >= 10)
    out.real = std::log(a + std::sqrt(a * a - 1));
  else if (y == 1 && x < kEpsilon * kEpsilon / 128)
    out.real = std::sqrt(x);
  else if (x >= kEpsilon * std::fabs(y - 1)) {
    const double over = half_excess(x, 1 + y, r) + half_excess(x, 1 - y, s);
    out.real = std::log1p(over + std::sqrt(over * (a + 1)));
  } else if (y < 1)
    out.real = x / std::sqrt((1 - y) * (1 + y));
  else
    out.real = std::log1p((y - 1) + std::sqrt((y - 1) * (y + 1)));
  // The sine is y / a. The cosine is sqrt(a**2 - y**2) / a, computed without cancellation.
  out.sine = y;
  if (y < 0x1p-509) {
    out.sine = y * (2 / kEpsilon);
    out.cosine = a * (2 / kEpsilon);
  } else if (y == 1 && x < kEpsilon / 128)
    out.cosine = std::sqrt(x) * std::sqrt((a + y) * 0.5);
  else if (x >= kEpsilon * std::fabs(y - 1))
    out.cosine = std::sqrt((half_excess(x, y + 1, r) + half_excess(x, y - 1, s)) * (a + y));
  else if (y > 1) {
    constexpr double scale = 4 / kEpsilon / kEpsilon;
    out.cosine = x * scale * y / std::sqrt((y + 1) * (y - 1));
    out.sine = y * scale;
  } else
    out.cosine = std::sqrt((1 - y) * (1 + y));
  return out;
}

FLAMBEAU_SCALAR Complex<double> asinh(Complex<double> z) {
  const double x = std::fabs(z.re), y = std::fabs(z.im);
  if (x != x || y != y) {
    if (x == INFINITY) return z;
    if (y == INFINITY) return {z.im, z.re};
    return {z.im == 0 || z.re != z.re ? z.re : z.im, z.im == 0 ? z.im : (z.re != z.re ? z.re : z.im)};
  }
  double re, im;
  if (x > kFar || y > kFar) {
    re = log_twice(x, y);
    im = std::atan2(y, x);
  } else if ((x == 0 && y == 0) || (x < 0x1p-27 && y < 0x1p-27)) {
    return z;
  } else {
    const ArcSine parts = arc_sine(x, y);
    re = parts.real;
    im = std::atan2(parts.sine, parts.cosine);
  }
  return {std::copysign(re, z.re), std::copysign(im, z.im)};
}
FLAMBEAU_SCALAR Complex<double> asin(Complex<double> z) {
  const Complex<double> w = asinh(Complex<double>(z.im, z.re));
  return {w.im, w.re};
}
FLAMBEAU_SCALAR Complex<double> acos(Complex<double> z) {
  const double x = std::fabs(z.re), y = std::fabs(z.im);
  const bool left = std::signbit(z.re), below = std::signbit(z.im);
  if (x != x || y != y) {
    if (x == INFINITY) return {y, -INFINITY};
    if (y == INFINITY) return {x, below ? INFINITY : -INFINITY};
    if (x == 0) return {kHalfPi, y};
    return {x + y, x + y};
  }
  double re, im;
  if (x > kFar || y > kFar) {
    re = std::atan2(y, z.re);
    im = log_twice(x, y);
  } else if (x == 1 && y == 0) {
    re = left ? 2 * kHalfPi : 0;
    im = 0;
  } else if (x < 0x1p-27 && y < 0x1p-27) {
    re = kHalfPi - (z.re - kHalfPiRest);
    im = y;
  } else {
    const ArcSine parts = arc_sine(y, x);
    re = std::atan2(parts.cosine, left ? -parts.sine : parts.sine);
    im = parts.real;
  }
  return {re, below ? im : -im};
}
FLAMBEAU_SCALAR Complex<double> acosh(Complex<double> z) {
  const Complex<double> w = acos(z);
  if (w.re != w.re && w.im != w.im) return w;
  if (w.re != w.re) return {std::fabs(w.im), w.re};
  if (w.im != w.im) return {w.im, z.re == 0 ? std::copysign(w.re, z.im) : w.im};
  return {std::fabs(w.im), std::copysign(w.re, z.im)};
}

// Returns x / (x**2 + y**2) for large numbers.
inline double real_of_reciprocal(double x, double y) {
  const double larger = x > y ? x : y;
  if (larger == INFINITY) return 0;
  const double scale = reciprocal_power_of_two(larger), a = x * scale, b = y * scale;
  return a / (a * a + b * b) * scale;
}
FLAMBEAU_SCALAR Complex<double> atanh(Complex<double> z) {
  const double x = std::fabs(z.re), y = std::fabs(z.im);
  if (x != x || y != y) {
    if (x == INFINITY) return {std::copysign(0.0, z.re), y};
    if (y == INFINITY) return {std::copysign(0.0, z.re), std::copysign(kHalfPi, z.im)};
    if (x == 0) return {z.re, y};
    return {x + y, x + y};
  }
  if (y == 0 && x <= 1) return {std::atanh(z.re), z.im};
  if (x == 0) return {z.re, std::atan(z.im)};
  if (x > kFar || y > kFar) return {std::copysign(real_of_reciprocal(x, y), z.re), std::copysign(kHalfPi, z.im)};
  if (x < 0x1p-27 && y < 0x1p-27) return z;
  const double to_one = x - 1;
  double re;
  if (x == 1 && y < kEpsilon) {
    re = (kLn2 - std::log(y)) * 0.5;
  } else {
    const double square = y < 0x1p-511 ? to_one * to_one : to_one * to_one + y * y;
    re = std::log1p(4 * x / square) * 0.25;
  }
  double im;
  if (x == 1)
    im = std::atan2(2.0, -y) * 0.5;
  else if (y < kEpsilon)
    im = std::atan2(2 * y, -to_one * (1 + x)) * 0.5;
  else
    im = std::atan2(2 * y, -to_one * (1 + x) - y * y) * 0.5;
  return {std::copysign(re, z.re), std::copysign(im, z.im)};
}
FLAMBEAU_SCALAR Complex<double> atan(Complex<double> z) {
  const Complex<double> w = atanh(Complex<double>(z.im, z.re));
  return {w.im, w.re};
}

}  // namespace inverse

#define FLAMBEAU_INVERSE(name)                                                \
  inline Complex<double> name(Complex<double> z) { return inverse::name(z); } \
  inline Complex<float> name(Complex<float> z) {                              \
    const Complex<double> w = inverse::name(Complex<double>(z.re, z.im));     \
    return {float(w.re), float(w.im)};                                        \
  }
FLAMBEAU_INVERSE(asin)
FLAMBEAU_INVERSE(acos)
FLAMBEAU_INVERSE(atan)
FLAMBEAU_INVERSE(asinh)
FLAMBEAU_INVERSE(acosh)
FLAMBEAU_INVERSE(atanh)
#undef FLAMBEAU_INVERSE

}  // namespace flambeau::complex_pointwise::FLAMBEAU_ISA
