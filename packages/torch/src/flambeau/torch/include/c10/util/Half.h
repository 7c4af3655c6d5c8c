// The types of half-precision and complex elements.
#pragma once

#include <complex>
#include <limits>
#include <ostream>

#include <flambeau/element.h>

namespace c10 {

template <class T>
using complex = std::complex<T>;

// A floating-point number of 16 bits. Its arithmetic is done in float. `Bits` is flambeau's type with the same layout.
template <class Bits, Bits (*narrow)(float)>
struct alignas(2) HalfPrecision {
  uint16_t x = 0;
  struct from_bits_t {};
  static constexpr from_bits_t from_bits() { return {}; }

  HalfPrecision() = default;
  constexpr HalfPrecision(uint16_t bits, from_bits_t) : x(bits) {}
  HalfPrecision(float value) : x(narrow(value).bits) {}
  operator float() const { return ::flambeau::to_float(Bits{x}); }
  HalfPrecision& operator+=(float other) { return *this = HalfPrecision(float(*this) + other); }
  HalfPrecision& operator-=(float other) { return *this = HalfPrecision(float(*this) - other); }
  HalfPrecision& operator*=(float other) { return *this = HalfPrecision(float(*this) * other); }
  HalfPrecision& operator/=(float other) { return *this = HalfPrecision(float(*this) / other); }

#define FLAMBEAU_ARITHMETIC(op)                                                                                      \
  friend HalfPrecision operator op(HalfPrecision a, HalfPrecision b) { return HalfPrecision(float(a) op float(b)); } \
  friend float operator op(HalfPrecision a, float b) { return float(a) op b; }                                       \
  friend float operator op(float a, HalfPrecision b) { return a op float(b); }                                       \
  friend double operator op(HalfPrecision a, double b) { return float(a) op b; }                                     \
  friend double operator op(double a, HalfPrecision b) { return a op float(b); }                                     \
  friend HalfPrecision operator op(HalfPrecision a, int b) { return HalfPrecision(float(a) op float(b)); }           \
  friend HalfPrecision operator op(int a, HalfPrecision b) { return HalfPrecision(float(a) op float(b)); }           \
  friend HalfPrecision operator op(HalfPrecision a, int64_t b) { return HalfPrecision(float(a) op float(b)); }       \
  friend HalfPrecision operator op(int64_t a, HalfPrecision b) { return HalfPrecision(float(a) op float(b)); }
  FLAMBEAU_ARITHMETIC(+)
  FLAMBEAU_ARITHMETIC(-)
  FLAMBEAU_ARITHMETIC(*)
  FLAMBEAU_ARITHMETIC(/)
#undef FLAMBEAU_ARITHMETIC
  friend HalfPrecision operator-(HalfPrecision a) { return HalfPrecision(-float(a)); }
  friend std::ostream& operator<<(std::ostream& out, HalfPrecision a) { return out << float(a); }
};

namespace detail {
inline ::flambeau::float16 to_float16(float v) { return ::flambeau::to_float16(v); }
inline ::flambeau::bfloat16 to_bfloat16(float v) { return ::flambeau::to_bfloat16(v); }
}  // namespace detail

using Half = HalfPrecision<::flambeau::float16, detail::to_float16>;
using BFloat16 = HalfPrecision<::flambeau::bfloat16, detail::to_bfloat16>;
static_assert(sizeof(Half) == 2 && sizeof(BFloat16) == 2);

namespace detail {
// std::numeric_limits of a half-precision type, given the bits of its limits.
template <class T, uint16_t lowest, uint16_t smallest, uint16_t largest, uint16_t epsilon_, uint16_t infinity_,
          uint16_t nan, int precision>
struct HalfLimits {
  static constexpr bool is_specialized = true, is_signed = true, is_integer = false, is_exact = false;
  static constexpr bool has_infinity = true, has_quiet_NaN = true;
  static constexpr int digits = precision, radix = 2;
  static constexpr T of(uint16_t bits) { return T(bits, T::from_bits()); }
  static constexpr T min() { return of(smallest); }
  static constexpr T lowest_value() { return of(lowest); }
  static constexpr T max() { return of(largest); }
  static constexpr T epsilon() { return of(epsilon_); }
  static constexpr T infinity() { return of(infinity_); }
  static constexpr T quiet_NaN() { return of(nan); }
};
}  // namespace detail

}  // namespace c10

template <>
struct std::numeric_limits<c10::Half>
    : c10::detail::HalfLimits<c10::Half, 0xFBFF, 0x0400, 0x7BFF, 0x1400, 0x7C00, 0x7E00, 11> {
  static constexpr c10::Half lowest() { return lowest_value(); }
};
template <>
struct std::numeric_limits<c10::BFloat16>
    : c10::detail::HalfLimits<c10::BFloat16, 0xFF7F, 0x0080, 0x7F7F, 0x3C00, 0x7F80, 0x7FC0, 8> {
  static constexpr c10::BFloat16 lowest() { return lowest_value(); }
};

namespace at {
using c10::BFloat16;
using c10::Half;
}  // namespace at
