// Complex numbers: arithmetic by the textbook's formulas, without std::complex's search for infinities in a product,
// so that loops over them vectorise. All of it inline: kernels for several instruction sets share it.
#pragma once

#include <cmath>
#include <ostream>
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
  // Smith 1962: scaled by the divisor's larger part, so that nothing overflows on the way.
  friend FLAMBEAU_INLINE Complex operator/(Complex a, Complex b) {
    const bool turned = std::fabs(b.re) < std::fabs(b.im);
    const T large = turned ? b.im : b.re, small = turned ? b.re : b.im;
    const T ratio = large == T(0) ? T(0) : small / large, scale = T(1) / (large + small * ratio);
    const T p = turned ? a.im : a.re, q = turned ? a.re : a.im;  // by i, were it turned: (p + q ratio, +-(q - p ratio))
    return {(p + q * ratio) * scale, (turned ? p * ratio - q : q - p * ratio) * scale};
  }
  friend FLAMBEAU_INLINE constexpr Complex operator*(Complex a, T b) { return {a.re * b, a.im * b}; }
  friend FLAMBEAU_INLINE constexpr Complex operator*(T a, Complex b) { return {a * b.re, a * b.im}; }
  friend FLAMBEAU_INLINE constexpr Complex operator/(Complex a, T b) { return {a.re / b, a.im / b}; }
  friend FLAMBEAU_INLINE constexpr bool operator==(Complex a, Complex b) { return (a.re == b.re) & (a.im == b.im); }
  friend FLAMBEAU_INLINE constexpr bool operator!=(Complex a, Complex b) { return !(a == b); }
  FLAMBEAU_INLINE Complex& operator+=(Complex b) { return *this = *this + b; }
  FLAMBEAU_INLINE Complex& operator-=(Complex b) { return *this = *this - b; }
  FLAMBEAU_INLINE Complex& operator*=(Complex b) { return *this = *this * b; }
  friend std::ostream& operator<<(std::ostream& out, Complex a) { return out << "(" << a.re << "," << a.im << ")"; }
};

template <class T>
inline constexpr bool is_complex_type = false;
template <class T>
inline constexpr bool is_complex_type<Complex<T>> = true;

}  // namespace flambeau
