// Scalar functions for the kernels' inner loops: branch-free, so that the compiler vectorises the loop around them. The
// rows of the operator table state their largest errors (Note [Pointwise table]); tests/test_accuracy.py measures them
// for every instruction set. Polynomial coefficients are from weighted least squares with 40 digits, reweighted towards
// the minimax solution.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "flambeau/element.h"
#include "flambeau/kernels/math/error_function.h"
#include "flambeau/kernels/math/logistic.h"
#include "flambeau/kernels/math/power.h"
#include "flambeau/kernels/math/trigonometric.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

struct None {  // a derivative that is zero or does not exist
  template <class V>
  constexpr operator V() const {
    return V(0);
  }
};
inline constexpr None none{}, zero{};

template <class V>
FLAMBEAU_INLINE constexpr V c(double v) {
  return static_cast<V>(v);
}
template <class V>
FLAMBEAU_INLINE V where(bool mask, V a, V b) {
  return mask ? a : b;
}
template <class V>
FLAMBEAU_INLINE V where(bool mask, V a, None) {
  return mask ? a : V(0);
}

template <class V>
inline constexpr bool is_real = std::is_floating_point_v<V>;

template <class V>
FLAMBEAU_INLINE V abs(V x) {
  if constexpr (is_real<V>)
    return std::fabs(x);
  else
    return x < 0 ? -x : x;
}
template <class V>
FLAMBEAU_INLINE bool below_half(V x) {  // |x| < 1/2
  return abs(x) < V(0.5);
}
template <class V>
FLAMBEAU_INLINE V sign(V x) {
  return V(V(0) < x) - V(x < V(0));
}
// Functions of complex numbers, such as conj, for real arguments. complex_math.h defines them for complex arguments.
template <class V>
FLAMBEAU_INLINE V sgn(V x) {
  return sign(x);
}
template <class V>
FLAMBEAU_INLINE V conj(V x) {
  return x;
}
template <class V>
FLAMBEAU_INLINE V real_part(V x) {
  return x;
}
template <class V>
FLAMBEAU_INLINE V angle(V x) {
  return x != x ? x : (x < V(0) ? V(3.141592653589793) : V(0));
}
template <class V>
FLAMBEAU_INLINE V angle_slope(V) {
  return V(0);
}
#define FLAMBEAU_ROUNDING(name, function) \
  template <class V>                      \
  FLAMBEAU_INLINE V name(V x) {           \
    if constexpr (is_real<V>)             \
      return function(x);                 \
    else                                  \
      return x;                           \
  }
FLAMBEAU_ROUNDING(floor, std::floor)
FLAMBEAU_ROUNDING(ceil, std::ceil)
FLAMBEAU_ROUNDING(trunc, std::trunc)
FLAMBEAU_ROUNDING(round, std::rint)
#undef FLAMBEAU_ROUNDING

template <class V>
FLAMBEAU_INLINE bool isinf(V x) {
  if constexpr (is_real<V>)
    return std::fabs(x) == V(INFINITY);
  else
    return false;
}
template <class V>
FLAMBEAU_INLINE bool isfinite(V x) {
  if constexpr (is_real<V>)
    return std::fabs(x) < V(INFINITY);
  else
    return true;
}
// Returns NaN if either operand is NaN. The compiler vectorises this form even if calls are nested.
template <class V>
FLAMBEAU_INLINE V maximum(V x, V y) {
  const V larger = x < y ? y : x;  // one instruction, which returns x if either is NaN
  return y != y ? y : larger;
}
template <class V>
FLAMBEAU_INLINE V minimum(V x, V y) {
  const V smaller = x > y ? y : x;
  return y != y ? y : smaller;
}

FLAMBEAU_INLINE float sqrt(float x) { return std::sqrt(x); }
FLAMBEAU_INLINE double sqrt(double x) { return std::sqrt(x); }
template <class V>
FLAMBEAU_INLINE V rsqrt(V x) {
  return V(1) / std::sqrt(x);
}
template <class V>
FLAMBEAU_INLINE V _normal_pdf(V x) {
  return c<V>(0.3989422804014327) * exp(c<V>(-0.5) * x * x);
}
template <class V>
FLAMBEAU_INLINE V gelu_inner(V x) {  // twice the argument of tanh in the approximation of GELU
  return c<V>(1.5957691216057308) * x * (V(1) + c<V>(0.044715) * x * x);
}

// floor_divide and remainder divide as Python does: the quotient is rounded towards minus infinity, and the remainder
// has the sign of the divisor. Integer division by zero gives 0 here; callers raise an error before.
template <class V>
FLAMBEAU_INLINE bool is_minus_one(V y) {  // the smallest integer divided by -1 overflows
  return std::is_signed_v<V> && y == V(-1);
}
// Returns x / y truncated to an integer, or 0 if y is 0. The smallest integer divided by -1 is itself. 32-bit integers
// are divided as doubles, for which vector instructions exist. The result is exact: a quotient that is not an integer
// differs from the next integer by at least 2**-31 of its value.
template <class V>
FLAMBEAU_INLINE V whole_quotient(V x, V y) {
  const bool odd = (y == 0) | is_minus_one(y);
  const V divisor = odd ? V(1) : y;
  V whole;
  if constexpr (sizeof(V) == 4)
    whole = V(double(x) / double(divisor));
  else
    whole = x / divisor;
  return odd ? (y == 0 ? V(0) : V(-x)) : whole;
}
template <class V>
FLAMBEAU_INLINE V fmod(V x, V y) {
  if constexpr (is_real<V>)
    return std::fmod(x, y);
  else
    return y == 0 || is_minus_one(y) ? V(0) : V(x - whole_quotient(x, y) * y);
}
template <class V>
FLAMBEAU_INLINE V remainder(V x, V y) {
  const V m = fmod(x, y);
  return m != V(0) && (m < V(0)) != (y < V(0)) ? m + y : m;
}
template <class V>
FLAMBEAU_INLINE V _trunc_divide(V x, V y) {
  if constexpr (is_real<V>)
    return std::trunc(x / y);
  else
    return whole_quotient(x, y);
}
template <class V>
FLAMBEAU_INLINE V floor_divide(V x, V y) {
  if constexpr (is_real<V>) {
    if (y == V(0)) return x / y;
    const V m = std::fmod(x, y);
    const V quotient = (x - m) / y - V(m != V(0) && (m < V(0)) != (y < V(0)));
    const V down = std::floor(quotient);
    return quotient == V(0) ? std::copysign(V(0), x / y) : (quotient - down > V(0.5) ? down + V(1) : down);
  } else {
    const V whole = whole_quotient(x, y), rest = x - whole * y;
    return whole - V((y != 0) & (rest != V(0)) & ((x < V(0)) != (y < V(0))));
  }
}

template <class V>
FLAMBEAU_INLINE V copysign(V x, V y) {
  return std::copysign(x, y);
}
template <class V>
FLAMBEAU_INLINE V nextafter(V x, V y) {  // adds 1 to the bits (away from 0) or subtracts 1
  using Bits = std::conditional_t<sizeof(V) == 4, int32_t, int64_t>;
  const Bits step = (y > x) == (x > V(0)) ? 1 : -1;
  const V next = bit_cast<V>(Bits(bit_cast<Bits>(x) + step));
  const V moved = x == V(0) ? std::copysign(std::numeric_limits<V>::denorm_min(), y) : next;
  const V nan = x != x ? x : y;  // not x + y: the sign of that NaN depends on the order of operands
  return x == y ? y : ((x != x) | (y != y) ? nan : moved);
}
template <class V>
FLAMBEAU_INLINE bool signbit(V x) {
  if constexpr (is_real<V>)
    return std::signbit(x);
  else
    return x < 0;
}
// The bits of a number, from which its mantissa and its exponent are taken. Subnormal numbers are first scaled to
// normal numbers.
template <class V>
struct BinaryParts {
  using Bits = std::conditional_t<sizeof(V) == 4, int32_t, int64_t>;
  static constexpr int kDigits = std::numeric_limits<V>::digits - 1, kBias = std::numeric_limits<V>::max_exponent - 2;
  static constexpr Bits kExponent = Bits(2 * kBias + 3) << kDigits;
  bool plain, small;
  Bits bits;
  FLAMBEAU_INLINE BinaryParts(V x) {
    plain = isfinite(x) & (x != V(0));
    small = std::fabs(x) < std::numeric_limits<V>::min();
    bits = bit_cast<Bits>(x * (small ? V(Bits(1) << kDigits) : V(1)));
  }
};
template <class V>
FLAMBEAU_INLINE V frexp_mantissa(V x) {
  using Parts = BinaryParts<V>;
  const Parts parts(x);
  const V half = bit_cast<V>((parts.bits & ~Parts::kExponent) | typename Parts::Bits(Parts::kBias) << Parts::kDigits);
  return parts.plain ? half : x;
}
template <class V>
FLAMBEAU_INLINE V _frexp_exponent(V x) {
  using Parts = BinaryParts<V>;
  const Parts parts(x);
  const auto exponent = int32_t((parts.bits & Parts::kExponent) >> Parts::kDigits) - Parts::kBias;
  return parts.plain ? V(exponent - (parts.small ? Parts::kDigits : 0)) : V(0);
}

template <class V>
FLAMBEAU_INLINE V logaddexp(V x, V y) {
  const V sum = maximum(x, y) + log1p_of_unit(exp_falling(-std::fabs(x - y)));
  return (x == y) & isinf(x) ? x : sum;
}
template <class V>
FLAMBEAU_INLINE V logaddexp2(V x, V y) {
  const V sum = maximum(x, y) + log1p_of_unit(exp2(-std::fabs(x - y))) * c<V>(1.4426950408889634);
  return (x == y) & isinf(x) ? x : sum;
}
template <class V>
FLAMBEAU_INLINE V log1p_of_exp(V x) {  // log(1 + e**x)
  return (x > V(0) ? x : V(0)) + log1p_of_unit(exp_falling(-std::fabs(x)));
}
template <class V>
FLAMBEAU_INLINE V xlogy(V x, V y) {
  return (x == V(0)) & (y == y) ? V(0) : x * log(y);
}
template <class V>
FLAMBEAU_INLINE V special_xlog1py(V x, V y) {
  return (x == V(0)) & (y == y) ? V(0) : x * log1p(y);
}
// Returns tanh(log(1 + e**x)), computed as a rational function of e**x. x is limited to 20, where the quotient is 1, so
// that it does not overflow.
template <class V>
FLAMBEAU_INLINE V mish_gate(V x) {
  const V e = exp(x > V(20) ? V(20) : x), n = e * (e + V(2));
  return n / (n + V(2));
}

template <class V>
FLAMBEAU_INLINE std::make_unsigned_t<V> magnitude(V x) {
  return x < 0 ? std::make_unsigned_t<V>(0) - std::make_unsigned_t<V>(x) : std::make_unsigned_t<V>(x);
}
template <class V>
FLAMBEAU_INLINE V gcd(V x, V y) {
  auto a = magnitude(x), b = magnitude(y);
  while (b) {
    const auto rest = a % b;
    a = b;
    b = rest;
  }
  return V(a);
}
template <class V>
FLAMBEAU_INLINE V lcm(V x, V y) {
  const V divisor = gcd(x, y);
  return divisor == 0 ? V(0) : V(magnitude(V(x / divisor * y)));
}

// Shifts bytes by each bit of y, one after the other: vectors can shift bytes by constants only. Every intermediate
// result is a byte, so that the compiler uses vectors of bytes.
template <bool left, class V>
FLAMBEAU_INLINE V shift_byte(V x, V y) {
  const V once = left ? V(x << 1) : V(x >> 1), by_one = V(y & V(1)) != V(0) ? once : x;
  const V twice = left ? V(by_one << 2) : V(by_one >> 2), by_two = V(y & V(2)) != V(0) ? twice : by_one;
  const V four_times = left ? V(by_two << 4) : V(by_two >> 4);
  return V(y & V(4)) != V(0) ? four_times : by_two;
}
template <class V>
FLAMBEAU_INLINE bool shifts_all(V y) {  // true if a shift by y leaves no bit
  if constexpr (sizeof(V) == 1)
    return V(y & V(~7)) != V(0);
  else
    return y < 0 || y >= V(sizeof(V) * 8);
}
template <class V>
FLAMBEAU_INLINE V left_shift(V x, V y) {
  if constexpr (sizeof(V) == 1) {
    const V shifted = shift_byte<true>(x, y);
    return shifts_all(y) ? V(0) : shifted;
  } else {
    return shifts_all(y) ? V(0) : V(std::make_unsigned_t<V>(x) << y);
  }
}
template <class V>
FLAMBEAU_INLINE V right_shift(V x, V y) {
  const bool all = shifts_all(y);
  const V count = all ? V(sizeof(V) * 8 - 1) : y;
  V shifted;
  if constexpr (sizeof(V) == 1)
    shifted = shift_byte<false>(x, count);
  else
    shifted = x >> count;
  return all && std::is_unsigned_v<V> ? V(0) : shifted;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
