// Chebyshev series in double, as long as the type whose functions they give needs them.
#pragma once

#include "kernels/math/exponential.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// How many coefficients a result of type V needs: for float32 what is left out is below 2**-33 of the largest.
template <class V, int N>
constexpr int needed_terms(const double (&coefficients)[N]) {
  const auto size = [](double v) { return v < 0 ? -v : v; };
  if (sizeof(V) == 8) return N;
  double largest = 0, rest = 0;
  for (const double v : coefficients) largest = size(v) > largest ? size(v) : largest;
  int count = N;
  for (; rest + size(coefficients[count - 1]) < 0x1p-33 * largest; --count) rest += size(coefficients[count - 1]);
  return count;
}

// The series at t in [-1, 1], by Clenshaw's recurrence.
template <int Count, int N>
FLAMBEAU_INLINE double chebyshev_part(double t, double b, double next, const double (&coefficients)[N]) {
  if constexpr (Count == 0)
    return t * b + (coefficients[0] - next);
  else
    return chebyshev_part<Count - 1>(t, 2.0 * t * b + (coefficients[Count] - next), b, coefficients);
}
template <class V, const auto& coefficients>
FLAMBEAU_INLINE double chebyshev(double t) {
  return chebyshev_part<needed_terms<V>(coefficients) - 1>(t, 0.0, 0.0, coefficients);
}

// A function of namespace `series` for both types.
#define FLAMBEAU_BY_SERIES(name)               \
  template <class V>                           \
  FLAMBEAU_INLINE V name(V x) {                \
    return static_cast<V>(series::name<V>(x)); \
  }

}  // namespace flambeau::kernels::FLAMBEAU_ISA
