// Chebyshev series in double, truncated to the terms that the result type needs.
#pragma once

#include "flambeau/kernels/math/exponential.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// Returns the number of coefficients that a result of type V needs. For float32, the omitted coefficients sum to less
// than 2**-33 of the largest coefficient.
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

// Returns the value of the series at t in [-1, 1], by Clenshaw's recurrence.
template <int Count, int N>
FLAMBEAU_INLINE double chebyshev_part(double t, double b, double next, const double (&coefficients)[N]) {
  if constexpr (Count == 0)
    return t * b + (coefficients[0] - next);
  else
    return chebyshev_part<Count - 1>(t, 2.0 * t * b + (coefficients[Count] - next), b, coefficients);
}
// powers_of() converts the series to a polynomial in t, which takes half the work to evaluate. The conversion loses
// digits by cancellation, which matters for float64 results only. Therefore only float32 results use it.
template <int Count>
struct Powers {
  double coefficients[Count] = {};
};
template <int Count, int N>
constexpr Powers<Count> powers_of(const double (&coefficients)[N]) {
  Powers<Count> sum;
  double last[Count] = {}, current[Count] = {};  // the polynomials of degree k - 1 and k
  current[0] = 1;
  for (int k = 0; k < Count; ++k) {
    double next[Count] = {};
    for (int i = 0; i <= k; ++i) {
      sum.coefficients[i] += coefficients[k] * current[i];
      if (i + 1 < Count) next[i + 1] = (k == 0 ? 1 : 2) * current[i];
    }
    for (int i = 0; i < Count; ++i) {
      next[i] -= last[i];
      last[i] = current[i];
      current[i] = next[i];
    }
  }
  return sum;
}
template <class V, const auto& coefficients>
FLAMBEAU_INLINE double chebyshev(double t) {
  constexpr int count = needed_terms<V>(coefficients);
  if constexpr (sizeof(V) == 8) {
    return chebyshev_part<count - 1>(t, 0.0, 0.0, coefficients);
  } else {
    constexpr auto powers = powers_of<count>(coefficients);
    return polynomial(t, powers.coefficients);
  }
}

// Defines a function for both types from the function in the namespace `series`.
#define FLAMBEAU_BY_SERIES(name)               \
  template <class V>                           \
  FLAMBEAU_INLINE V name(V x) {                \
    return static_cast<V>(series::name<V>(x)); \
  }

}  // namespace flambeau::kernels::FLAMBEAU_ISA
