// Functions that detect arguments for which the branch-free functions of a pointwise operator are not valid. CPU loops
// test blocks, GPU kernels test each element.
#pragma once

#include "flambeau/kernels/math/division.h"
#include "flambeau/kernels/math/log_gamma.h"
#include "flambeau/kernels/math/unbounded.h"
#include "flambeau/kernels/pointwise_trace.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// Return true if the derivative for operand I uses functions of angles, so that large angles need Unbounded numbers.
template <class Row, int I, class V>
constexpr bool derivative_reduces_angles() {
  return Row::kArity == 1 && std::is_floating_point_v<V> && derivative_uses<Row, I>(pointwise_trace::kLimitedAngles);
}
template <class Row>
constexpr bool takes_log_gamma() {
  return uses<Row>(pointwise_trace::kLimitedGamma);
}
// has_unusual: return true if an operator has one operand, and arguments for which its branch-free function is not
// valid.
// is_unusual: return true if x is such an argument.
template <class Row, class V>
constexpr bool has_unusual() {
  return Row::kArity == 1 && std::is_floating_point_v<V> &&
         (uses<Row>(pointwise_trace::kLimitedAngles) || takes_log_gamma<Row>());
}
template <class Row, class V>
FLAMBEAU_INLINE bool is_unusual(V x) {
  if constexpr (takes_log_gamma<Row>())
    return x < V(kMinLogGamma);
  else
    return is_unbounded(x);
}

// Return true if moderate quotients have a faster path, with Near numbers (math/division.h).
template <class Row, class V>
constexpr bool divides_nearby() {
  return has_near_division<V> && has_loop<Row>(PointwiseLoop::Quotient);
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
