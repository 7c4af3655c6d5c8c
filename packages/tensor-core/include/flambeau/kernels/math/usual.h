// Number types that select fast versions of functions, without checks for special arguments. Loops use them for blocks
// in which all arguments are in the middle of the function's domain.
#pragma once

#include "flambeau/kernels/math.h"
#include "flambeau/kernels/math/bessel.h"
#include "flambeau/kernels/math/root_inverse.h"
#include "flambeau/kernels/pointwise_traits.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// In the middle of their range, square roots in float64 and reciprocal square roots of both types are computed by
// multiplications. The last step of the square root is from Markstein (1990) and gives the same rounding as the
// processor; it needs fused operations.
template <class V>
inline constexpr V kLargestUsualRoot = sizeof(V) == 4 ? V(0x1p60) : V(0x1p500);
FLAMBEAU_INLINE float usual_rsqrt(float x) { return root_inverse<2>(x); }
FLAMBEAU_INLINE double usual_rsqrt(double x) {
  const double y = root_inverse<2>(x), lacks = 1.0 - x * y * y;
  return y + y * lacks * 0.5;
}
#ifdef __FMA__
template <class V>
inline constexpr bool has_usual_sqrt = sizeof(V) == 8;
FLAMBEAU_INLINE double usual_sqrt(double x) {
  const double y = usual_rsqrt(x), root = x * y;
  return root + (x - root * root) * (0.5 * y);
}
#else
template <class V>
inline constexpr bool has_usual_sqrt = false;
#endif

template <class V>
struct UsualNumber {
  V value;
  UsualNumber(V v) : value(v) {}
  friend UsualNumber exp(UsualNumber x) { return usual_exp(x.value); }
  friend UsualNumber log(UsualNumber x) { return usual_log(x.value); }
  friend UsualNumber log2(UsualNumber x) { return usual_log2(x.value); }
  friend UsualNumber log10(UsualNumber x) { return usual_log10(x.value); }
  friend UsualNumber logit(UsualNumber x) { return usual_logit(x.value); }
  friend UsualNumber sigmoid(UsualNumber x) { return usual_sigmoid(x.value); }
  friend UsualNumber special_i0e(UsualNumber x) { return V(series::near_i0e<V>(x.value)); }
  friend UsualNumber special_i1e(UsualNumber x) { return V(series::near_i1e<V>(x.value)); }
  friend UsualNumber erfinv(UsualNumber x) { return usual_erfinv(x.value); }
  friend UsualNumber sqrt(UsualNumber x) { return usual_sqrt(x.value); }
  friend UsualNumber rsqrt(UsualNumber x) { return usual_rsqrt(x.value); }
  friend UsualNumber pow(UsualNumber x, UsualNumber y) { return usual_power(x.value, y.value); }
};

// Number types for computing a block in two passes: the second pass starts from the results of the first. If each step
// of a long expression depends on the previous step, a processor cannot overlap enough elements in a single pass.
template <class V>
struct FirstPass {
  V value;
  friend FirstPass erfinv(FirstPass x) { return {erfinv_variable(x.value)}; }
};
template <class V>
struct SecondPass {
  V value, begun;
  friend SecondPass erfinv(SecondPass x) { return {near_erfinv(x.value, x.begun), V(0)}; }
};
template <class Row, class Number>
constexpr bool takes_two_passes() {
  return std::is_same_v<Number, UsualNumber<double>> && has_loop<Row>(PointwiseLoop::TwoPasses);
}

// A number type for any arguments. Operators use it if a separate function handles results below the smallest normal
// number.
template <class V>
struct Gradual {
  V value;
  Gradual(V v) : value(v) {}
  friend Gradual sigmoid(Gradual x) { return gradual_sigmoid(x.value); }
};

// The usual arguments of a pointwise operator with one operand, as declared by USUAL (Note [Pointwise traits]): low <=
// x < high if `low` is positive, |x| < high if `low` is 0, and no argument if both are 0. Numbers are compared through
// their bits, which have the same order as integers and for which a maximum is one instruction.
template <class V>
struct UsualRange {
  V low = 0, high = 0;

  FLAMBEAU_INLINE bool holds_all(const V* x, int64_t n) const {
    using Bits = std::conditional_t<sizeof(V) == 4, uint32_t, uint64_t>;
    const Bits least = bit_cast<Bits>(low), width = bit_cast<Bits>(high) - least;
    const Bits counted = low > V(0) ? ~Bits(0) : Bits(~Bits(0) >> 1);  // the mask excludes the sign if low is 0
    Bits most = 0;
    for (int64_t i = 0; i < n; ++i) {
      const Bits bits = (bit_cast<Bits>(x[i]) & counted) - least;
      most = bits > most ? bits : most;
    }
    return most < width;
  }
};
template <class V>
inline constexpr UsualRange<V> kUsualSqrt =
    has_usual_sqrt<V> ? UsualRange<V>{1 / kLargestUsualRoot<V>, kLargestUsualRoot<V>} : UsualRange<V>{};
template <class V>
constexpr UsualRange<V> usual_range(PointwiseName row) {
  constexpr V least = std::numeric_limits<V>::min(), infinite = std::numeric_limits<V>::infinity();
  switch (row) {
#define FLAMBEAU_NAMES
#define USUAL(name, ...)    \
  case PointwiseName::name: \
    return __VA_ARGS__;
#include "flambeau/pointwise.def"
    default:
      return {};
  }
}
template <class Row, class V>
constexpr bool has_usual() {
  if constexpr (Row::kArity == 1 && std::is_floating_point_v<V>)
    return usual_range<V>(Row::operator_name()).low != usual_range<V>(Row::operator_name()).high;
  return false;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
