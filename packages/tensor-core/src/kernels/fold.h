// Folding a row over a fixed tree: the order of the additions depends on its length alone, not on the instruction set.
#pragma once

#include <cstdint>
#include <limits>

#include "kernels/math.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

inline constexpr int64_t kLanes = 64;    // independent partial results along a row
inline constexpr int64_t kLeaf = 16384;  // elements below which a row is not split

struct Add {
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
  template <class T>
  static FLAMBEAU_INLINE T join(T a, T b) {
    return maximum(a, b);
  }
  template <class T>
  static T identity() {
    return is_real<T> ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::min();
  }
};
struct Smaller {
  template <class T>
  static FLAMBEAU_INLINE T join(T a, T b) {
    return minimum(a, b);
  }
  template <class T>
  static T identity() {
    return is_real<T> ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::max();
  }
};
struct Or {
  template <class T>
  static FLAMBEAU_INLINE T join(T a, T b) {
    return T(a | b);
  }
  template <class T>
  static T identity() {
    return T(0);
  }
};
struct And {
  template <class T>
  static FLAMBEAU_INLINE T join(T a, T b) {
    return T(a & b);
  }
  template <class T>
  static T identity() {
    return T(1);
  }
};

// Folds f(begin), ..., f(begin + n - 1), which are of type Part, in a leaf, and leaves in type T.
template <class Join, class T, class Part = T, class F>
T fold(int64_t begin, int64_t n, F f) {
  if (n > kLeaf) {
    const int64_t half = (n / 2 + kLeaf - 1) / kLeaf * kLeaf;
    const T low = fold<Join, T, Part>(begin, half, f), high = fold<Join, T, Part>(begin + half, n - half, f);
    return Join::join(low, high);
  }
  Part result = Join::template identity<Part>();
  int64_t i = 0;
  if (n >= kLanes) {
    Part lanes[kLanes];
    for (int64_t j = 0; j < kLanes; ++j) lanes[j] = Join::template identity<Part>();
    for (; i + kLanes <= n; i += kLanes)
      for (int64_t j = 0; j < kLanes; ++j) lanes[j] = Join::join(lanes[j], f(begin + i + j));
    for (int64_t width = kLanes / 2; width > 0; width /= 2)
      for (int64_t j = 0; j < width; ++j) lanes[j] = Join::join(lanes[j], lanes[j + width]);
    result = lanes[0];
  }
  for (; i < n; ++i) result = Join::join(result, f(begin + i));
  return T(result);
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
