// Which arguments of a row its branch-free functions do not reach. The loops look for them by the block, the kernels of
// a GPU at each element.
#pragma once

#include "flambeau/kernels/math/division.h"
#include "flambeau/kernels/math/log_gamma.h"
#include "flambeau/kernels/math/unbounded.h"
#include "flambeau/kernels/row_trace.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// Return true if the derivative for operand I takes angles: Unbounded numbers serve large ones.
template <class Row, int I, class V>
constexpr bool derivative_reduces_angles() {
  return Row::kArity == 1 && std::is_floating_point_v<V> && derivative_uses<Row, I>(row_trace::kLimitedAngles);
}
template <class Row>
constexpr bool takes_log_gamma() {
  return uses<Row>(row_trace::kLimitedGamma);
}
// Return true if a row of one operand has such arguments; if x is one.
template <class Row, class V>
constexpr bool has_unusual() {
  return Row::kArity == 1 && std::is_floating_point_v<V> &&
         (uses<Row>(row_trace::kLimitedAngles) || takes_log_gamma<Row>());
}
template <class Row, class V>
FLAMBEAU_INLINE bool is_unusual(V x) {
  if constexpr (takes_log_gamma<Row>())
    return x < V(kLeastLogGamma);
  else
    return is_unbounded(x);
}

// Return true if moderate quotients take a faster path, with Near numbers.
template <class Row, class V>
constexpr bool divides_nearby() {
  return has_near_division<V> && has_loop<Row>(RowLoop::Quotient);
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
