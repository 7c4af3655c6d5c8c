// Combines a value that is written at a computed position with the value that is already there, for the kernels of
// every device.
#pragma once

#include <bit>

#include "flambeau/element.h"

namespace flambeau {

// The type of an element in memory. A boolean is a byte, which may have any value in memory of another library.
template <class T>
using Stored = std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>;

// Returns keep ? a : b. Floating-point numbers are selected by operations on bits: a branch would often be mispredicted
// if the values are in no particular order.
template <class T>
FLAMBEAU_INLINE T chosen(bool keep, T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
    const Bits mask = Bits(0) - Bits(keep);
    return std::bit_cast<T>((std::bit_cast<Bits>(a) & mask) | (std::bit_cast<Bits>(b) & ~mask));
  } else {
    return keep ? a : b;
  }
}

enum class Combine : uint8_t { Assign, Add, Multiply, Max, Min };

template <Combine c, class T>
FLAMBEAU_INLINE Stored<T> combine(Stored<T> a, Stored<T> b) {
  if constexpr (c == Combine::Assign)
    return b;
  else if constexpr (std::is_same_v<T, bool>)
    return c == Combine::Add || c == Combine::Max ? (a | b) != 0 : a != 0 && b != 0;
  else if constexpr (std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>)
    return convert<T>(combine<c, float>(to_float(a), to_float(b)));
  else if constexpr (c == Combine::Add)
    return T(a + b);
  else if constexpr (c == Combine::Multiply)
    return T(a * b);
  else if constexpr (!requires { a < b; })
    return a;  // never called: callers raise an error for the maximum and minimum of complex numbers
  else if constexpr (c == Combine::Max)
    return chosen((a > b) | (a != a), a, b);
  else
    return chosen((a < b) | (a != a), a, b);
}

}  // namespace flambeau
