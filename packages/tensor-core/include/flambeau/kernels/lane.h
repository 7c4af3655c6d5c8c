// The type of the arguments of functions in elementwise_kernels.h: one lane of a vector, to which the pointwise
// operators can be applied.
#pragma once

#include <type_traits>

#include "flambeau/kernels/math.h"
#include "flambeau/kernels/math/bessel.h"
#include "flambeau/kernels/math/coarse.h"
#include "flambeau/kernels/math/digamma.h"
#include "flambeau/kernels/math/log_gamma.h"
#include "flambeau/kernels/math/oscillating_bessel.h"
#include "flambeau/kernels/math/usual.h"
#include "flambeau/kernels/pointwise_paths.h"
#include "flambeau/kernels/special_scalar.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {
#include "flambeau/kernels/pointwise_structs.h"
}  // namespace

// The result of a comparison. It does not convert to bool, because a branch would prevent vectorisation of the loop.
template <class Flag>
struct Mask {
  bool value;
  Flag unusual;
  explicit operator bool() const = delete;  // use where(mask, a, b)
  friend FLAMBEAU_INLINE Mask operator&(Mask a, Mask b) { return {bool(a.value & b.value), a.unusual | b.unusual}; }
  friend FLAMBEAU_INLINE Mask operator|(Mask a, Mask b) { return {bool(a.value | b.value), a.unusual | b.unusual}; }
  friend FLAMBEAU_INLINE Mask operator!(Mask a) { return {!a.value, a.unusual}; }
};

// V is float or double. Some pointwise operators have fast functions that are valid only for usual arguments, in the
// middle of the domain (usual.h, pointwise_paths.h). `unusual` is negative if such a function got an argument outside
// its domain; the value is then invalid. A `careful` lane uses functions that are valid for all arguments. A `coarse`
// lane is for results that are rounded to half precision (math/coarse.h).
template <class V, bool careful, bool coarse = false>
struct Lane {
  using Flag = std::conditional_t<sizeof(V) == 4, int32_t, int64_t>;  // as wide as V, for equally many lanes
  V value;
  Flag unusual = 0;

  FLAMBEAU_INLINE Lane(V v, Flag unusual) : value(v), unusual(unusual) {}
  template <class Number>
    requires std::is_arithmetic_v<Number>
  FLAMBEAU_INLINE Lane(Number v) : value(static_cast<V>(v)) {}

  // Returns a negative number if x is outside the domain of the operator's fast function.
  template <class Row>
  static FLAMBEAU_INLINE Flag outside(V x) {
    if constexpr (has_usual<Row, V>()) {
      constexpr V low = usual_range<V>(Row::operator_name()).low, high = usual_range<V>(Row::operator_name()).high;
      if constexpr (low > V(0)) return -Flag(!((x >= low) & (x < high)));
      // The bits of absolute values, compared as integers, have the order of the values. Integer comparisons do not
      // compete with multiplications for execution units.
      return (bit_cast<Flag>(high) - 1) - bit_cast<Flag>(std::fabs(x));
    } else if constexpr (has_unusual<Row, V>()) {
      return -Flag(is_unusual<Row>(x));
    } else {
      return 0;
    }
  }
  template <class Row>
  static FLAMBEAU_INLINE V coarse_value(V x) {
    return std::is_same_v<Row, exp_row> ? coarse_exp(x) : coarse_sigmoid(x);
  }
  template <class Row, class... More>
  static FLAMBEAU_INLINE auto value_of(V x, More... more) {
    constexpr bool has_coarse = coarse && (std::is_same_v<Row, exp_row> || std::is_same_v<Row, sigmoid_row>);
    if constexpr (has_coarse && careful)  // a usual argument has the same result as in a fast lane
      return outside<Row>(x) < 0 ? Row::template value<V>(x) : coarse_value<Row>(x);
    else if constexpr (has_coarse)
      return coarse_value<Row>(x);
    else if constexpr (has_usual<Row, V>() && !careful)
      return Row::template value<UsualNumber<V>>(x).value;
    else if constexpr (has_unusual<Row, V>() && careful)
      return is_unusual<Row>(x) ? Row::template value<Unbounded<V>>(x).value : Row::template value<V>(x);
    else
      return Row::template value<V>(x, more...);
  }
  // Returns the lane or mask that a pointwise operator computes. Note [Pointwise table]
  template <class Row, class... Lanes>
  static FLAMBEAU_INLINE auto of_row(Lane x, Lanes... more) {
    static_assert(Row::kDomain != Domain::Integral && Row::kDomain != Domain::Whole,
                  "this operator takes integers only");
    const Flag unusual = (x.unusual | ... | more.unusual) | outside<Row>(x.value);
    const auto value = value_of<Row>(x.value, more.value...);
    if constexpr (std::is_same_v<decltype(value), const bool>)
      return Mask<Flag>{value, unusual};
    else
      return Lane(value, unusual);
  }
#define UNARY(name, ...) \
  friend FLAMBEAU_INLINE auto name(Lane x) { return of_row<name##_row>(x); }
#define BINARY(name, ...) \
  friend FLAMBEAU_INLINE auto name(Lane x, Lane y) { return of_row<name##_row>(x, y); }
#define TERNARY(name, ...) \
  friend FLAMBEAU_INLINE auto name(Lane x, Lane y, Lane z) { return of_row<name##_row>(x, y, z); }
#include "flambeau/pointwise.def"

#define FLAMBEAU_LANE_OPERATOR(symbol, name) \
  friend FLAMBEAU_INLINE auto operator symbol(Lane x, Lane y) { return of_row<name##_row>(x, y); }
  FLAMBEAU_LANE_OPERATOR(+, add)
  FLAMBEAU_LANE_OPERATOR(-, sub)
  FLAMBEAU_LANE_OPERATOR(*, mul)
  FLAMBEAU_LANE_OPERATOR(/, div)
  FLAMBEAU_LANE_OPERATOR(==, eq)
  FLAMBEAU_LANE_OPERATOR(!=, ne)
  FLAMBEAU_LANE_OPERATOR(<, lt)
  FLAMBEAU_LANE_OPERATOR(<=, le)
  FLAMBEAU_LANE_OPERATOR(>, gt)
  FLAMBEAU_LANE_OPERATOR(>=, ge)
#undef FLAMBEAU_LANE_OPERATOR
  friend FLAMBEAU_INLINE Lane operator-(Lane x) { return of_row<neg_row>(x); }
  friend FLAMBEAU_INLINE Lane where(Mask<Flag> mask, Lane a, Lane b) {
    return {where(mask.value, a.value, b.value), mask.unusual | a.unusual | b.unusual};
  }
};

}  // namespace flambeau::kernels::FLAMBEAU_ISA
