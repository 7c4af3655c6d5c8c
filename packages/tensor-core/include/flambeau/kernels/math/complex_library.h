// Elementary functions of complex numbers, from the C library.
#pragma once

#include "flambeau/complex.h"
#include "flambeau/kernels/math/bits.h"

namespace flambeau::complex_pointwise::FLAMBEAU_ISA {

// Uses GCC's built-in complex type. The templates of std::complex would be compiled for one instruction set, and the
// linker could use these copies for other instruction sets.
FLAMBEAU_INLINE __complex__ float to_builtin(Complex<float> x) {
  return kernels::FLAMBEAU_ISA::bit_cast<__complex__ float>(x);
}
FLAMBEAU_INLINE __complex__ double to_builtin(Complex<double> x) {
  return kernels::FLAMBEAU_ISA::bit_cast<__complex__ double>(x);
}
FLAMBEAU_INLINE Complex<float> to_complex(__complex__ float x) { return {__real__ x, __imag__ x}; }
FLAMBEAU_INLINE Complex<double> to_complex(__complex__ double x) { return {__real__ x, __imag__ x}; }

#define FLAMBEAU_LIBRARY(name)                                                                                      \
  FLAMBEAU_INLINE Complex<float> name(Complex<float> x) { return to_complex(__builtin_c##name##f(to_builtin(x))); } \
  FLAMBEAU_INLINE Complex<double> name(Complex<double> x) { return to_complex(__builtin_c##name(to_builtin(x))); }
FLAMBEAU_LIBRARY(exp)
FLAMBEAU_LIBRARY(log)
FLAMBEAU_LIBRARY(sqrt)
FLAMBEAU_LIBRARY(sin)
FLAMBEAU_LIBRARY(cos)
FLAMBEAU_LIBRARY(tan)
FLAMBEAU_LIBRARY(asin)
FLAMBEAU_LIBRARY(acos)
FLAMBEAU_LIBRARY(atan)
FLAMBEAU_LIBRARY(sinh)
FLAMBEAU_LIBRARY(cosh)
FLAMBEAU_LIBRARY(tanh)
FLAMBEAU_LIBRARY(asinh)
FLAMBEAU_LIBRARY(acosh)
FLAMBEAU_LIBRARY(atanh)
#undef FLAMBEAU_LIBRARY

}  // namespace flambeau::complex_pointwise::FLAMBEAU_ISA
