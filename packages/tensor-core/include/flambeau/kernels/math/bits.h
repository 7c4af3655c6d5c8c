// Building blocks of the transcendental functions: bits of floating-point numbers, and polynomials. They are
// branch-free and use operations that all instruction sets have for vectors. Therefore they convert between double and
// int64 by adding a large number.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "flambeau/macros.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// Declares a long scalar function. On a GPU it is not inlined: otherwise a kernel would contain a copy for each element
// that a thread processes, and would take long to compile.
#ifdef FLAMBEAU_DEVICE
#define FLAMBEAU_SCALAR inline __attribute__((noinline))
#else
#define FLAMBEAU_SCALAR inline
#endif

template <class To, class From>
FLAMBEAU_INLINE To bit_cast(From v) {
  To out;
  static_assert(sizeof(To) == sizeof(From));
  std::memcpy(&out, &v, sizeof(To));
  return out;
}

// Returns mask ? a : b by operations on bits, for code in which the compiler would turn many selections into branches.
FLAMBEAU_INLINE double blend(bool mask, double a, double b) {
  const int64_t bits = -static_cast<int64_t>(mask);
  return bit_cast<double>((bit_cast<int64_t>(a) & bits) | (bit_cast<int64_t>(b) & ~bits));
}
FLAMBEAU_INLINE float blend(bool mask, float a, float b) {
  const int32_t bits = -static_cast<int32_t>(mask);
  return bit_cast<float>((bit_cast<int32_t>(a) & bits) | (bit_cast<int32_t>(b) & ~bits));
}

FLAMBEAU_INLINE bool negative_bit(double x) { return bit_cast<int64_t>(x) < 0; }
FLAMBEAU_INLINE bool negative_bit(float x) { return bit_cast<int32_t>(x) < 0; }

// Evaluates a polynomial whose coefficients begin with the lowest order, by Estrin's scheme: p(x) = low(x) + x**k
// high(x), recursively. It needs a few more multiplications than Horner's rule, but has a third of the latency, which
// limits the speed of the loops.
template <int First, int Count, class V, int N>
FLAMBEAU_INLINE V polynomial_part(const V (&powers)[5], const V (&coefficients)[N]) {
  if constexpr (Count == 1) {
    return coefficients[First];
  } else {
    constexpr int kLevel = Count > 16 ? 4 : Count > 8 ? 3 : Count > 4 ? 2 : Count > 2 ? 1 : 0, kHalf = 1 << kLevel;
    return polynomial_part<First, kHalf>(powers, coefficients) +
           powers[kLevel] * polynomial_part<First + kHalf, Count - kHalf>(powers, coefficients);
  }
}
template <class V, int N>
FLAMBEAU_INLINE V polynomial(V x, const V (&coefficients)[N]) {
  static_assert(N <= 32);
  const V square = x * x, fourth = square * square, eighth = fourth * fourth;
  const V powers[5] = {x, square, fourth, eighth, eighth * eighth};
  return polynomial_part<0, N>(powers, coefficients);
}
// Evaluates a polynomial whose coefficients begin with the highest order, as in the tables of Cephes, by Horner's rule.
template <int Count, class V, int N>
FLAMBEAU_INLINE V horner_part(V x, const V (&coefficients)[N]) {
  if constexpr (Count == 1)
    return coefficients[0];
  else
    return horner_part<Count - 1>(x, coefficients) * x + coefficients[Count - 1];
}
template <class V, int N>
FLAMBEAU_INLINE V horner(V x, const V (&coefficients)[N]) {
  return horner_part<N>(x, coefficients);
}

inline constexpr double kShifter = 6755399441055744.0;  // 1.5 * 2**52: adding it rounds a number to an integer
FLAMBEAU_INLINE double nearest(double x) { return (x + kShifter) - kShifter; }              // |x| < 2**51
FLAMBEAU_INLINE float nearest(float x) { return (x + 12582912.0f) - 12582912.0f; }          // |x| < 2**22
FLAMBEAU_INLINE int64_t integer_bits(double n) { return bit_cast<int64_t>(n + kShifter); }  // n in the low bits
FLAMBEAU_INLINE double power_of_two(double n) {  // integer n, -1022 <= n <= 1023
  return bit_cast<double>((integer_bits(n) + 1023) << 52);
}
// times_power() computes y * 2**n by two multiplications, so that the result may be subnormal. The integer n is given
// as n + kScaler, whose low bits contain the sum of n and twice the exponent bias.
template <class V>
inline constexpr V kScaler = sizeof(V) == 4 ? V(12582912.0 + 254.0) : V(kShifter + 2046.0);
FLAMBEAU_INLINE float times_power(float y, float scaler) {
  const uint32_t n = bit_cast<uint32_t>(scaler), half = n >> 1;
  return y * bit_cast<float>(half << 23) * bit_cast<float>((n - half) << 23);
}
FLAMBEAU_INLINE double times_power(double y, double scaler) {
  const uint64_t n = bit_cast<uint64_t>(scaler), half = n >> 1;
  return y * bit_cast<double>(half << 52) * bit_cast<double>((n - half) << 52);
}
template <class V>
FLAMBEAU_INLINE V scale(V y, V n) {
  return times_power(y, n + kScaler<V>);
}
// times_falling_power() computes y * 2**n for n <= 60, if nothing overflows. n is given as n + kFallingScaler. One of
// the two factors is constant.
template <class V>
inline constexpr V kFallingScaler = sizeof(V) == 4 ? V(12582912.0 + 127.0 + 64.0) : V(kShifter + 1023.0 + 512.0);
template <class V>
inline constexpr V kFallingFactor = V(0x1p-64);
template <>
inline constexpr double kFallingFactor<double> = 0x1p-512;
FLAMBEAU_INLINE float times_other_factor(float y, float scaler) {
  return y * bit_cast<float>(bit_cast<uint32_t>(scaler) << 23);
}
FLAMBEAU_INLINE double times_other_factor(double y, double scaler) {
  return y * bit_cast<double>(bit_cast<uint64_t>(scaler) << 52);
}
template <class V>
FLAMBEAU_INLINE V times_falling_power(V y, V scaler) {
  return times_other_factor(y, scaler) * kFallingFactor<V>;
}
// Like times_falling_power, without arithmetic on subnormal numbers, which takes processors a hundred times as long.
// The bits of a subnormal result are computed as an integer.
template <class V>
FLAMBEAU_INLINE V times_gradual_power(V y, V scaler) {
  using Bits = std::conditional_t<sizeof(V) == 4, uint32_t, uint64_t>;  // unsigned, so that max() keeps NaN
  constexpr V whole = V(1) / std::numeric_limits<V>::epsilon();
  constexpr V least = std::numeric_limits<V>::min() / kFallingFactor<V>, up = whole / least;
  const V product = times_other_factor(y, scaler);
  const bool small = product < least;
  const V gradual = bit_cast<V>(Bits(bit_cast<Bits>((small ? product : least) * up + whole) - bit_cast<Bits>(whole)));
  // Selects by the bits: otherwise the compiler might multiply before it selects, and the product might be subnormal.
  const V usual = bit_cast<V>(std::max(bit_cast<Bits>(product), bit_cast<Bits>(least)));
  return small ? gradual : usual * kFallingFactor<V>;
}
// from_exponent() computes 2**n for an integer n, given as n + kExponentShifter. The result must be a normal number.
template <class V>
inline constexpr V kExponentShifter = sizeof(V) == 4 ? V(12582912.0 + 127.0) : V(kShifter + 1023.0);
FLAMBEAU_INLINE float from_exponent(float shifted) { return bit_cast<float>(bit_cast<uint32_t>(shifted) << 23); }
FLAMBEAU_INLINE double from_exponent(double shifted) { return bit_cast<double>(bit_cast<uint64_t>(shifted) << 52); }
FLAMBEAU_INLINE double high_part(double x) { return bit_cast<double>(bit_cast<int64_t>(x) & ~0xFFFFFFFFll); }

// Defines the float32 version of a function that is computed in double. Its only error is the final rounding.
#define FLAMBEAU_BY_DOUBLE(name) \
  FLAMBEAU_INLINE float name(float x) { return static_cast<float>(name(static_cast<double>(x))); }

}  // namespace flambeau::kernels::FLAMBEAU_ISA
