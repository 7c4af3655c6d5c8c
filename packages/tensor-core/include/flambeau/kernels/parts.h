// Functions of real and complex elements, for the factorizations of matrices.
#pragma once

#include <cmath>

#include "flambeau/complex.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

template <class T>
struct Parts {
  using Real = T;
  static T conjugate(T v) { return v; }
  static T real(T v) { return v; }
  static T imaginary(T) { return T(0); }
  static T magnitude(T v) { return std::fabs(v); }
  static T modulus(T v) { return std::fabs(v); }
};

template <class T>
struct Parts<Complex<T>> {
  using Real = T;
  static Complex<T> conjugate(Complex<T> v) { return {v.re, -v.im}; }
  static T real(Complex<T> v) { return v.re; }
  static T imaginary(Complex<T> v) { return v.im; }
  static T magnitude(Complex<T> v) { return std::fabs(v.re) + std::fabs(v.im); }  // LAPACK's measure of a pivot
  static T modulus(Complex<T> v) { return std::hypot(v.re, v.im); }
};

template <class T>
using Real = typename Parts<T>::Real;

}  // namespace flambeau::kernels::FLAMBEAU_ISA
