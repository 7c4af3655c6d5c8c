// Kernels of pointwise operators for complex numbers. The complex kernel files include this file, once per instruction
// set.
//
// Note [Complex pointwise operators]: let E be the derivative expression of a pointwise operator. The derivative of a
// holomorphic operator is conj(E(conj(grad), ...)): Note [Complex derivatives]. The derivative of an operator with a
// real result is E(grad, ...).
#pragma once

#include "kernels/pointwise/complex_lanes.h"

namespace flambeau::complex_pointwise::FLAMBEAU_ISA {

using kernels::Table;

// A pointwise operator with conjugated derivatives, in the form that the loops of pointwise_loops.h take.
template <class Row, bool conjugates>
struct ConjugatedRow : Row {
  template <int I, class V, class... Operands>
  static FLAMBEAU_INLINE V derivative(V grad, Operands... operands) {
    if constexpr (conjugates)
      return conj(static_cast<V>(Row::template derivative<I, V>(conj(grad), operands...)));
    else
      return Row::template derivative<I, V>(grad, operands...);
  }
};

template <class Row, class V, int I = 0>
void fill_derivatives(Table& table, int row, int column) {
  if constexpr (I < Row::kArity) {
    using T = typename V::Real;
    if constexpr (exists<Row, I>() && Row::template differentiates<I, Lanes<T>>())
      table.derivative[row][I][column] = derivative_lanes<Row, I, T>;
    else if constexpr (exists<Row, I>() && Row::template differentiates<I, V>())
      table.derivative[row][I][column] = real::derivative_loop<Row, I, V>;
    fill_derivatives<Row, V, I + 1>(table, row, column);
  }
}

template <class Row, class V>
void fill_type(Table& table, int row, Compute compute) {
  if constexpr (Row::template supports<V>()) {
    constexpr bool returns_real = std::is_floating_point_v<decltype(Row::example(V(0)))>;
    if constexpr (uses_lanes<Row, typename V::Real>())
      table.pointwise[row][int(compute)] = forward_lanes<Row, typename V::Real>;
    else
      table.pointwise[row][int(compute)] = real::forward_loop<Row, V>;
    table.returns_real[row] = returns_real;
    fill_derivatives<ConjugatedRow<Row, !returns_real>, V>(table, row, int(compute) - int(Compute::f32));
  }
}

template <class Row>
void fill_row(Table& table, int row) {
  fill_type<Row, Complex<float>>(table, row, Compute::c64);
  fill_type<Row, Complex<double>>(table, row, Compute::c128);
}

}  // namespace flambeau::complex_pointwise::FLAMBEAU_ISA
