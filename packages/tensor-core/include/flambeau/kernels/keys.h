// Maps elements to unsigned integers with the same order, for the kernels of every device. Note [Keys] in
// operators/sorting/order.h
#pragma once

#include "flambeau/element.h"

namespace flambeau::order {

template <class T>
struct Bits {};
template <class T>
  requires std::is_integral_v<T>
struct Bits<T> {
  using type = std::make_unsigned_t<T>;
};
template <>
struct Bits<bool> {
  using type = uint8_t;
};
template <>
struct Bits<float16> {
  using type = uint16_t;
  static constexpr type infinity = 0x7C00;
};
template <>
struct Bits<bfloat16> {
  using type = uint16_t;
  static constexpr type infinity = 0x7F80;
};
template <>
struct Bits<float> {
  using type = uint32_t;
  static constexpr type infinity = 0x7F800000;
};
template <>
struct Bits<double> {
  using type = uint64_t;
  static constexpr type infinity = 0x7FF0000000000000;
};

template <class T>
using BitsOf = typename Bits<T>::type;  // an unsigned integer with the bits of an element
template <class T>
using Key = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;

template <class T>
inline constexpr bool kReal = requires { Bits<T>::infinity; };
template <class T>
inline constexpr BitsOf<T> kSign = BitsOf<T>(BitsOf<T>(1) << (8 * sizeof(T) - 1));
template <class T>
inline constexpr BitsOf<T> kNan = BitsOf<T>(~BitsOf<T>(0));

template <class T>
FLAMBEAU_INLINE Key<T> key_of(BitsOf<T> bits) {
  if constexpr (std::is_same_v<T, bool>) {
    return bits != 0;
  } else if constexpr (kReal<T>) {
    const BitsOf<T> magnitude = bits & BitsOf<T>(~kSign<T>);
    if (magnitude == 0) bits = 0;
    const BitsOf<T> key = bits & kSign<T> ? BitsOf<T>(~bits) : BitsOf<T>(bits | kSign<T>);
    return magnitude > Bits<T>::infinity ? kNan<T> : key;
  } else {
    return std::is_signed_v<T> ? BitsOf<T>(bits ^ kSign<T>) : bits;
  }
}
template <class T>
FLAMBEAU_INLINE bool is_nan(BitsOf<T> bits) {
  if constexpr (kReal<T>)
    return (bits & BitsOf<T>(~kSign<T>)) > Bits<T>::infinity;
  else
    return false;
}
// Returns true if elements with this key can have different bits, as zeros and NaN do.
template <class T>
FLAMBEAU_INLINE bool ambiguous(Key<T> key) {
  return kReal<T> && (key == kSign<T> || key == kNan<T>);
}
template <class T>
FLAMBEAU_INLINE BitsOf<T> bits_of(Key<T> key) {
  const BitsOf<T> bits = BitsOf<T>(key);
  if constexpr (kReal<T>)
    return bits & kSign<T> ? BitsOf<T>(bits ^ kSign<T>) : BitsOf<T>(~bits);
  else
    return std::is_signed_v<T> ? BitsOf<T>(bits ^ kSign<T>) : bits;
}

}  // namespace flambeau::order
