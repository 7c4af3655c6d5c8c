// Selection of the pointwise operators that have kernels for elements of one or two bytes.
//
// Note [Narrow kernels]
// Elements of one or two bytes are processed as stored in memory if conversion would cost more than the computation.
// The integer results of pointwise operators with such kernels, modulo 2**n, do not depend on the width of the
// computation. Numbers among the operands must fit in the dtype, unless the operator is exact modulo 2**n.
// Half-precision elements are computed in float32, one vector at a time, which stays in registers between the
// conversions.
#pragma once

#include "flambeau/kernels/pointwise_trace.h"

namespace flambeau {

template <class Row>
inline constexpr bool returns_mask = Row::kDomain == Domain::Comparison || Row::kDomain == Domain::Logical;

// Returns true if the result depends on the order of integers, which differs for signed and unsigned integers.
template <class Row>
constexpr bool compares() {
  return uses<Row>(pointwise_trace::kOrder);
}
// Returns true if the result is exact for integers modulo 2**n.
template <class Row>
constexpr bool is_modular() {
  return !uses<Row>(pointwise_trace::kNotModular);
}

template <class Row>
constexpr bool takes_narrow_integers() {
  return !uses<Row>(pointwise_trace::kWideFunction);
}
template <class Row>
constexpr bool takes_booleans() {
  return Row::kDomain != Domain::Number && Row::kDomain != Domain::Whole;
}
template <class Row>
constexpr bool takes_halves() {
  return !uses<Row>(pointwise_trace::kSlowFunction);
}

}  // namespace flambeau
