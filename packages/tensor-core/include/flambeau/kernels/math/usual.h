// Numbers in the middle of a function's domain, where it needs no care for its limits: the loops look for the others by
// the block.
#pragma once

#include "flambeau/kernels/math.h"
#include "flambeau/kernels/math/bessel.h"
#include "flambeau/kernels/math/root_inverse.h"
#include "flambeau/kernels/row_traits.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// Roots in float64, and inverses of them, are made of multiplications in the middle of their range. The last step of
// the square root is Markstein's (1990), which rounds as the processor does; it needs fused operations.
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
struct Usual {
  V value;
  Usual(V v) : value(v) {}
  friend Usual exp(Usual x) { return usual_exp(x.value); }
  friend Usual log(Usual x) { return usual_log(x.value); }
  friend Usual log2(Usual x) { return usual_log2(x.value); }
  friend Usual log10(Usual x) { return usual_log10(x.value); }
  friend Usual logit(Usual x) { return usual_logit(x.value); }
  friend Usual sigmoid(Usual x) { return usual_sigmoid(x.value); }
  friend Usual special_i0e(Usual x) { return V(series::near_i0e<V>(x.value)); }
  friend Usual special_i1e(Usual x) { return V(series::near_i1e<V>(x.value)); }
  friend Usual erfinv(Usual x) { return usual_erfinv(x.value); }
  friend Usual sqrt(Usual x) { return usual_sqrt(x.value); }
  friend Usual rsqrt(Usual x) { return usual_rsqrt(x.value); }
  friend Usual pow(Usual x, Usual y) { return usual_power(x.value, y.value); }
};

// Usual numbers in two passes over a block, the first of which leaves what the second begins with: where each step of a
// long expression waits for the one before, a processor does not see enough numbers at a time to be busy.
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
  return std::is_same_v<Number, Usual<double>> && has_loop<Row>(RowLoop::TwoPasses);
}

// All numbers, for rows with a separate function for results below the smallest normal number.
template <class V>
struct Gradual {
  V value;
  Gradual(V v) : value(v) {}
  friend Gradual sigmoid(Gradual x) { return gradual_sigmoid(x.value); }
};

// The usual arguments of a row of one operand, as USUAL declares them (Note [Row traits]): from `low`, which is
// positive, on and below `high`, or with sizes below `high` where low is 0; none where no row asks. As integers, which
// are joined by one instruction, the bits of numbers have their order.
template <class V>
struct UsualRange {
  V low = 0, high = 0;

  FLAMBEAU_INLINE bool holds_all(const V* x, int64_t n) const {
    using Bits = std::conditional_t<sizeof(V) == 4, uint32_t, uint64_t>;
    const Bits least = bit_cast<Bits>(low), width = bit_cast<Bits>(high) - least;
    const Bits counted = low > V(0) ? ~Bits(0) : Bits(~Bits(0) >> 1);  // without the sign
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
constexpr UsualRange<V> usual_range(RowName row) {
  constexpr V least = std::numeric_limits<V>::min(), infinite = std::numeric_limits<V>::infinity();
  switch (row) {
#define FLAMBEAU_NAMES
#define USUAL(name, ...) \
  case RowName::name:    \
    return __VA_ARGS__;
#include "flambeau/pointwise.def"
    default:
      return {};
  }
}
template <class Row, class V>
constexpr bool has_usual() {
  if constexpr (Row::kArity == 1 && std::is_floating_point_v<V>)
    return usual_range<V>(Row::row_name()).low != usual_range<V>(Row::row_name()).high;
  return false;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
