// Which arguments of a row its branch-free functions do not reach, by the names in its text. The loops look for them by
// the block, the kernels of a GPU at each element.
#pragma once

#include "flambeau/kernels/math/division.h"
#include "flambeau/kernels/math/log_gamma.h"
#include "flambeau/kernels/math/unbounded.h"
#include "flambeau/kernels/row_traits.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// Whether an expression takes angles, which Unbounded numbers serve where they are large.
template <class V>
constexpr bool reduces_angles(std::string_view expression) {
  for (const char* name : {"sin", "cos", "tan", "special_bessel_j0", "special_bessel_j1", "special_bessel_y0",
                           "special_bessel_y1", "special_spherical_bessel_j0"})
    if (names(expression, name)) return std::is_floating_point_v<V>;
  return false;
}
template <class V>
constexpr bool takes_log_gamma(std::string_view expression) {
  return std::is_floating_point_v<V> && names(expression, "lgamma");
}
// Whether a row of one operand has such arguments, and whether x is one.
template <class Row, class V>
constexpr bool has_unusual() {
  return Row::kArity == 1 && (reduces_angles<V>(Row::value_text()) || takes_log_gamma<V>(Row::value_text()));
}
template <class Row, class V>
FLAMBEAU_INLINE bool is_unusual(V x) {
  if constexpr (takes_log_gamma<V>(Row::value_text()))
    return x < V(kLeastLogGamma);
  else
    return is_unbounded(x);
}

// Whether a row is what a division leaves over: then quotients that are not very large are Near numbers.
template <class V>
constexpr bool divides_with_rest(std::string_view expression) {
  return has_near_division<V> &&
         (names(expression, "fmod") || names(expression, "remainder") || names(expression, "floor_divide"));
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
