// Complex arithmetic by the textbook formulas, without std::complex's checks for infinities in a product, so that loops
// over complex numbers vectorise. Everything is inline, because kernels for several instruction sets share it.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "flambeau/macros.h"

namespace flambeau {

template <class T>
struct Complex {
  using Real = T;
  T re, im;

  Complex() = default;
  FLAMBEAU_INLINE constexpr Complex(T real, T imaginary = T(0)) : re(real), im(imaginary) {}

  friend FLAMBEAU_INLINE constexpr Complex operator-(Complex a) { return {-a.re, -a.im}; }
  friend FLAMBEAU_INLINE constexpr Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
  friend FLAMBEAU_INLINE constexpr Complex operator-(Complex a, Complex b) { return {a.re - b.re, a.im - b.im}; }
  friend FLAMBEAU_INLINE constexpr Complex operator*(Complex a, Complex b) {
    return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
  }
  friend FLAMBEAU_INLINE Complex operator/(Complex a, Complex b) { return divide(a, b); }
  friend FLAMBEAU_INLINE constexpr Complex operator*(Complex a, T b) { return {a.re * b, a.im * b}; }
  friend FLAMBEAU_INLINE constexpr Complex operator*(T a, Complex b) { return {a * b.re, a * b.im}; }
  friend FLAMBEAU_INLINE constexpr Complex operator/(Complex a, T b) { return {a.re / b, a.im / b}; }
  friend FLAMBEAU_INLINE constexpr bool operator==(Complex a, Complex b) { return (a.re == b.re) & (a.im == b.im); }
  friend FLAMBEAU_INLINE constexpr bool operator!=(Complex a, Complex b) { return !(a == b); }
  FLAMBEAU_INLINE Complex& operator+=(Complex b) { return *this = *this + b; }
  FLAMBEAU_INLINE Complex& operator-=(Complex b) { return *this = *this - b; }
  FLAMBEAU_INLINE Complex& operator*=(Complex b) { return *this = *this * b; }
};

// Returns about 1 / x, as a power of two, for nonnegative x.
FLAMBEAU_INLINE double reciprocal_power_of_two(double x) {
  const uint64_t exponent = std::bit_cast<uint64_t>(x) >> 52;
  return std::bit_cast<double>((exponent < 2045 ? 2046 - exponent : 1) << 52);
}

// Division without overflow and without branches: float64 scales the divisor by a power of two, float32 computes in
// float64. A finite number divided by infinity is 0. Division by 0 divides each part by 0.
FLAMBEAU_INLINE Complex<double> divide(Complex<double> a, Complex<double> b) {
  const double larger = std::fabs(b.re) < std::fabs(b.im) ? std::fabs(b.im) : std::fabs(b.re);
  const double scale = reciprocal_power_of_two(larger);
  const double c = b.re * scale, d = b.im * scale, square = c * c + d * d;
  const double p = a.re * scale, q = a.im * scale;
  const bool zero = larger == 0, vanishes = larger == INFINITY;
  const double re = (zero ? a.re : p * c + q * d) / square, im = (zero ? a.im : q * c - p * d) / square;
  return {vanishes ? a.re * 0 : re, vanishes ? a.im * 0 : im};
}
FLAMBEAU_INLINE Complex<float> divide(Complex<float> a, Complex<float> b) {
  const double c = b.re, d = b.im, square = c * c + d * d;
  const bool zero = square == 0, vanishes = square == INFINITY;
  const double re = (zero ? a.re : a.re * c + a.im * d) / square, im = (zero ? a.im : a.im * c - a.re * d) / square;
  return {vanishes ? a.re * 0 : float(re), vanishes ? a.im * 0 : float(im)};
}

template <class T>
inline constexpr bool is_complex_type = false;
template <class T>
inline constexpr bool is_complex_type<Complex<T>> = true;

}  // namespace flambeau
