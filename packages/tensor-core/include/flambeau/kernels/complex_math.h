// Functions of complex numbers for the expressions of pointwise operators. Note [Complex pointwise operators]
//
// A pointwise operator has a complex kernel if the value expression in its row compiles for V = Complex<T>, that is, if
// this file defines every function in the expression. There is no other list of these operators. The functions are in a
// separate namespace, so that an expression does not call a function of math.h by mistake: the functions of math.h are
// written for real numbers.
//
// Branch cuts, infinities and NaN follow C99's annex G.
#pragma once

#include "flambeau/kernels/math.h"
#ifdef FLAMBEAU_DEVICE
#include "flambeau/kernels/math/complex_elementary.h"
#else
#include "flambeau/kernels/math/complex_library.h"
#endif

namespace flambeau::complex_pointwise::FLAMBEAU_ISA {

namespace real = kernels::FLAMBEAU_ISA;

struct None {  // a derivative that is zero or does not exist
  template <class T>
  constexpr operator Complex<T>() const {
    return Complex<T>(T(0));
  }
};
inline constexpr None none{}, zero{};

template <class V>
FLAMBEAU_INLINE constexpr V c(double v) {
  return V(typename V::Real(v));
}
template <class T>
FLAMBEAU_INLINE Complex<T> where(bool mask, Complex<T> a, Complex<T> b) {
  return {mask ? a.re : b.re, mask ? a.im : b.im};
}
template <class T>
FLAMBEAU_INLINE Complex<T> where(bool mask, Complex<T> a, None) {
  return {mask ? a.re : T(0), mask ? a.im : T(0)};
}

// Returns the absolute value without overflow and without branches, like divide() in complex.h. The result is infinite
// if either part is infinite.
FLAMBEAU_INLINE float abs(Complex<float> x) {
  const double re = x.re, im = x.im;
  const bool infinite = (std::fabs(x.re) == INFINITY) | (std::fabs(x.im) == INFINITY);
  return infinite ? INFINITY : float(std::sqrt(re * re + im * im));
}
FLAMBEAU_INLINE double abs(Complex<double> x) {
  const double a = std::fabs(x.re), b = std::fabs(x.im), scale = reciprocal_power_of_two(a < b ? b : a);
  const double re = a * scale, im = b * scale;
  return (a == INFINITY) | (b == INFINITY) ? INFINITY
                                           : std::sqrt(kernels::FLAMBEAU_ISA::sum_of_squares(re, im)) / scale;
}
template <class T>
FLAMBEAU_INLINE bool below_half(Complex<T> x) {
  return x.re * x.re + x.im * x.im < T(0.25);
}
template <class T>
FLAMBEAU_INLINE T angle(Complex<T> x) {
  return real::atan2(x.im, x.re);
}
template <class T>
FLAMBEAU_INLINE Complex<T> angle_slope(Complex<T> x) {  // the gradient of angle: i / conj(x)
  const T square = x.re * x.re + x.im * x.im;
  return square == T(0) ? Complex<T>(T(0)) : Complex<T>(-x.im / square, x.re / square);
}
template <class T>
FLAMBEAU_INLINE Complex<T> conj(Complex<T> x) {
  return {x.re, -x.im};
}
template <class T>
FLAMBEAU_INLINE T real_part(Complex<T> x) {
  return x.re;
}
template <class T>
FLAMBEAU_INLINE Complex<T> sgn(Complex<T> x) {
  const T size = abs(x), divisor = size == T(0) ? T(1) : size;
  return x / divisor;
}
template <class T>
FLAMBEAU_INLINE bool isinf(Complex<T> x) {
  return (std::fabs(x.re) == T(INFINITY)) | (std::fabs(x.im) == T(INFINITY));
}
template <class T>
FLAMBEAU_INLINE bool isfinite(Complex<T> x) {
  return (std::fabs(x.re) < T(INFINITY)) & (std::fabs(x.im) < T(INFINITY));
}

template <class T>
FLAMBEAU_INLINE Complex<T> exp2(Complex<T> x) {
  return exp(x * T(0.693147180559945309));
}
template <class T>
FLAMBEAU_INLINE Complex<T> expm1(Complex<T> x) {  // e**a cos b - 1 = expm1(a) cos b - 2 sin(b / 2)**2
  const T half = std::sin(x.im / T(2)), e = std::exp(x.re);
  return {std::expm1(x.re) * std::cos(x.im) - T(2) * half * half, x.im == T(0) ? x.im : e * std::sin(x.im)};
}
template <class T>
FLAMBEAU_INLINE Complex<T> log2(Complex<T> x) {
  return log(x) * T(1.442695040888963407);
}
template <class T>
FLAMBEAU_INLINE Complex<T> log10(Complex<T> x) {
  return log(x) * T(0.434294481903251828);
}
template <class T>
FLAMBEAU_INLINE Complex<T> log1p(Complex<T> x) {  // if x is small, from |1 + x|**2 - 1 = a (2 + a) + b**2
  const T a = x.re, b = x.im;
  const bool small = std::fabs(a) < T(0.5) && std::fabs(b) < T(0.5);
  return {small ? std::log1p(a * (T(2) + a) + b * b) / T(2) : std::log(std::hypot(T(1) + a, b)),
          std::atan2(b, T(1) + a)};
}
template <class T>
FLAMBEAU_INLINE Complex<T> rsqrt(Complex<T> x) {
  return Complex<T>(T(1)) / sqrt(x);
}
// Returns sin(pi x) / (pi x). As for real numbers, the integer part of the real part is subtracted before the
// multiplication by pi.
template <class T>
FLAMBEAU_INLINE Complex<T> sinc(Complex<T> x) {
  constexpr T pi = T(3.141592653589793238);
  const T whole = std::rint(x.re), half = whole * T(0.5);
  const Complex<T> sine = sin(Complex<T>((x.re - whole) * pi, x.im * pi));
  const Complex<T> y = (half == std::rint(half) ? sine : -sine) / (x * pi);
  return x == Complex<T>(T(0)) ? Complex<T>(T(1)) : y;
}
template <class T>
FLAMBEAU_INLINE Complex<T> sigmoid(Complex<T> x) {
  return Complex<T>(T(1)) / (Complex<T>(T(1)) + exp(-x));
}
// Factors out the exponential of the operand with the larger real part, which has the larger magnitude.
template <class T>
FLAMBEAU_INLINE Complex<T> logaddexp(Complex<T> x, Complex<T> y) {
  const bool first = x.re >= y.re;
  const Complex<T> high = first ? x : y, low = first ? y : x;
  if (high.re == low.re && std::fabs(high.re) == T(INFINITY)) return high.re < T(0) ? low : log(exp(high) + exp(low));
  return high + log1p(exp(low - high));
}
template <class T>
FLAMBEAU_INLINE Complex<T> pow(Complex<T> x, Complex<T> y) {
  if (y == Complex<T>(T(0))) return T(1);
  if (x == Complex<T>(T(0))) return y.re > T(0) && y.im == T(0) ? Complex<T>(T(0)) : exp(y * log(x));
  return exp(y * log(x));
}

}  // namespace flambeau::complex_pointwise::FLAMBEAU_ISA
