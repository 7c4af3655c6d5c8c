// C++ types of elements and conversions between them, for kernels on all devices.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#ifdef __x86_64__
#include <emmintrin.h>
#endif

#include "flambeau/complex.h"

namespace flambeau {

struct float16 {
  uint16_t bits;
};
struct bfloat16 {
  uint16_t bits;
};

FLAMBEAU_INLINE float to_float(bfloat16 v) {
  const uint32_t bits = uint32_t(v.bits) << 16;
  float out;
  std::memcpy(&out, &bits, 4);
  return out;
}
FLAMBEAU_INLINE bfloat16 to_bfloat16(float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, 4);
  const uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
  const bool nan = (bits & 0x7FFFFFFF) > 0x7F800000;
  return {uint16_t(nan ? 0x7FC0 : rounded)};
}
// Conversions of float16 by integer arithmetic without branches, so that loops over them vectorise.
FLAMBEAU_INLINE float to_float(float16 v) {
  const uint32_t sign = uint32_t(v.bits & 0x8000) << 16, magnitude = v.bits & 0x7FFF;
  const uint32_t normal_bits = (magnitude << 13) + ((127 - 15) << 23), special_bits = (magnitude << 13) | 0x7F800000;
  const float subnormal = float(int32_t(magnitude)) * 5.9604644775390625e-8f;  // 2**-24
  uint32_t subnormal_bits;
  std::memcpy(&subnormal_bits, &subnormal, 4);
  uint32_t bits = magnitude < 0x400 ? subnormal_bits : normal_bits;
  bits = (magnitude >= 0x7C00 ? special_bits : bits) | sign;
  float out;
  std::memcpy(&out, &bits, 4);
  return out;
}
FLAMBEAU_INLINE float16 to_float16(float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, 4);
  const uint32_t sign = (bits >> 16) & 0x8000, magnitude = bits & 0x7FFFFFFF;
  float absolute;
  std::memcpy(&absolute, &magnitude, 4);
  const float shifted = absolute + 0.5f;  // the addition rounds a subnormal result to the unit 2**-24
  uint32_t shifted_bits;
  std::memcpy(&shifted_bits, &shifted, 4);
  const uint32_t subnormal = shifted_bits - 0x3F000000;
  const uint32_t normal = (magnitude - ((127 - 15) << 23) + 0xFFF + ((magnitude >> 13) & 1)) >> 13;
  uint32_t out = magnitude < 0x38800000 ? subnormal : normal;
  out = magnitude >= 0x477FF000 ? 0x7C00 : out;
  out = magnitude > 0x7F800000 ? 0x7E00 : out;
  return {uint16_t(out | sign)};
}

// Truncates a floating-point value to an integer; the smallest integer for NaN and values out of range.
template <class To, class From>
FLAMBEAU_INLINE To truncate(From v) {
#if defined(__x86_64__) && !defined(__AVX512DQ__)  // no vector instruction, so use a scalar one
  if constexpr (sizeof(To) == 8 && sizeof(From) == 8) return _mm_cvttsd_si64(_mm_set_sd(v));
  if constexpr (sizeof(To) == 8 && sizeof(From) == 4) return _mm_cvttss_si64(_mm_set_ss(v));
#endif
  constexpr From smallest = static_cast<From>(std::numeric_limits<To>::min());  // exact, because it is a power of two
  return static_cast<To>(v >= smallest && v < -smallest ? v : smallest);
}

// convert<To>(value): the only conversion between element types.
template <class To, class From>
FLAMBEAU_INLINE To convert(From v) {
  if constexpr (std::is_same_v<To, From>)
    return v;
  else if constexpr (is_complex_type<From> && is_complex_type<To>)
    return To(convert<typename To::Real>(v.re), convert<typename To::Real>(v.im));
  else if constexpr (is_complex_type<From> && std::is_same_v<To, bool>)
    return v != From(0);
  else if constexpr (is_complex_type<From>)
    return convert<To>(v.re);
  else if constexpr (is_complex_type<To>)
    return To(convert<typename To::Real>(v));
  else if constexpr (std::is_same_v<From, float16> || std::is_same_v<From, bfloat16>)
    return convert<To>(to_float(v));
  else if constexpr (std::is_same_v<To, float16>)
    return to_float16(float(v));
  else if constexpr (std::is_same_v<To, bfloat16>)
    return to_bfloat16(float(v));
  else if constexpr (std::is_same_v<To, bool>)
    return v != From(0);
  else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To> && sizeof(To) < 4)
    return static_cast<To>(truncate<int32_t>(v));
  else if constexpr (std::is_floating_point_v<From> && std::is_same_v<To, uint32_t>)
    return static_cast<To>(truncate<int64_t>(v));  // negative numbers wrap
  else if constexpr (std::is_floating_point_v<From> && std::is_same_v<To, uint64_t>) {
    constexpr From half = From(9223372036854775808.0);
    const bool high = v >= half;
    return static_cast<To>(truncate<int64_t>(high ? v - half : v)) ^ (static_cast<To>(high) << 63);
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>)
    return truncate<To>(v);
  else
    return static_cast<To>(v);
}

}  // namespace flambeau
