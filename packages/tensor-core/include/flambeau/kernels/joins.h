// The combining functions of reductions and their identities, for the kernels of all devices.
#pragma once

#include <limits>
#include <type_traits>

#include "flambeau/kernels/math.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// The accumulator of cumulative sums and products: float64 for float32, and likewise for the parts of complex64.
template <class T>
using RunningState = std::conditional_t<std::is_same_v<T, float>, double,
                                        std::conditional_t<std::is_same_v<T, Complex<float>>, Complex<double>, T>>;

struct Add {
  static constexpr bool kPairs = true;  // true: a loop that first joins values in pairs vectorises
  template <class T>
  static FLAMBEAU_INLINE T join(T a, T b) {
    return a + b;
  }
  template <class T>
  static T identity() {
    return T(0);
  }
};
struct Multiply {
  static constexpr bool kPairs = true;
  template <class T>
  static FLAMBEAU_INLINE T join(T a, T b) {
    return a * b;
  }
  template <class T>
  static T identity() {
    return T(1);
  }
};
struct Larger {
  static constexpr bool kPairs = false;
  template <class T>
  static FLAMBEAU_INLINE T join(T a, T b) {
    return maximum(a, b);
  }
  template <class T>
  static T identity() {
    if constexpr (is_real<T>)
      return -std::numeric_limits<T>::infinity();
    else
      return std::numeric_limits<T>::min();
  }
};
struct Smaller {
  static constexpr bool kPairs = false;
  template <class T>
  static FLAMBEAU_INLINE T join(T a, T b) {
    return minimum(a, b);
  }
  template <class T>
  static T identity() {
    if constexpr (is_real<T>)
      return std::numeric_limits<T>::infinity();
    else
      return std::numeric_limits<T>::max();
  }
};
struct Or {
  static constexpr bool kPairs = true;
  template <class T>
  static FLAMBEAU_INLINE T join(T a, T b) {
    return T(a | b);
  }
  template <class T>
  static T identity() {
    return T(0);
  }
};
struct Xor {
  static constexpr bool kPairs = true;
  template <class T>
  static FLAMBEAU_INLINE T join(T a, T b) {
    return a ^ b;
  }
  template <class T>
  static T identity() {
    return T(0);
  }
};
struct And {
  static constexpr bool kPairs = true;
  template <class T>
  static FLAMBEAU_INLINE T join(T a, T b) {
    return T(a & b);
  }
  template <class T>
  static T identity() {
    return T(1);
  }
};

}  // namespace flambeau::kernels::FLAMBEAU_ISA
