// A number type whose sine, cosine and tangent call the C library, for arguments that are too large for the vectorised
// functions.
#pragma once

#include "flambeau/kernels/math/trigonometric.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

template <class T>
struct Unbounded {
  T value;
  Unbounded(T v) : value(v) {}
  friend Unbounded operator-(Unbounded a) { return -a.value; }
  friend Unbounded operator+(Unbounded a, Unbounded b) { return a.value + b.value; }
  friend Unbounded operator-(Unbounded a, Unbounded b) { return a.value - b.value; }
  friend Unbounded operator*(Unbounded a, Unbounded b) { return a.value * b.value; }
  friend Unbounded operator/(Unbounded a, Unbounded b) { return a.value / b.value; }
  friend bool operator==(Unbounded a, Unbounded b) { return a.value == b.value; }
};
template <class T>
Unbounded<T> sin(Unbounded<T> x) {
  return std::sin(x.value);
}
template <class T>
Unbounded<T> cos(Unbounded<T> x) {
  return std::cos(x.value);
}
template <class T>
Unbounded<T> tan(Unbounded<T> x) {
  return std::tan(x.value);
}

// Returns true if an angle is finite but too large for the reduction of the vectorised functions. The limit is a
// quarter of kLargestAngle, because operators may multiply the angle by pi.
template <class T>
FLAMBEAU_INLINE bool is_unbounded(T x) {
  return (std::fabs(x) > kLargestAngle<T> / 4) & (std::fabs(x) < T(INFINITY));
}
template <class T>
bool any_unbounded(const T* x, int64_t n) {
  int32_t large = 0;  // a count, because the vectoriser supports sums but no logical reductions
  for (int64_t i = 0; i < n; ++i) large += is_unbounded(x[i]);
  return large != 0;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA

#ifdef _WIN32  // its lgamma writes to no global variable, so that it needs no such variant
FLAMBEAU_INLINE double lgamma_r(double x, int*) { return ::lgamma(x); }
#endif
