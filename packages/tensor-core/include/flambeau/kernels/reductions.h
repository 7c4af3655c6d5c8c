// A struct for each reduction operator: the function that is applied to each element, and the types in which the
// results are combined. Note [Reduction table]
#pragma once

#include "flambeau/kernels/complex_math.h"
#include "flambeau/kernels/elements.h"
#include "flambeau/kernels/joins.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// Accumulator types of sums: Part within a leaf of the reduction tree or for a few rows, Total across leaves.
template <class V>
using Total = std::conditional_t<std::is_integral_v<V>, int64_t, V>;  // Note [Same bits]
template <class V>
using Part = std::conditional_t<std::is_integral_v<V> && sizeof(V) < 4, int32_t, Total<V>>;

// Functions that reductions apply to elements. The absolute value and the square of a complex number are real.
template <class R>
FLAMBEAU_INLINE R absolute(R v) {
  return abs(v);
}
template <class R>
FLAMBEAU_INLINE R absolute(Complex<R> v) {
  return complex_pointwise::FLAMBEAU_ISA::abs(v);
}
template <class R>
FLAMBEAU_INLINE R squared(R v) {
  return v * v;
}
template <class R>
FLAMBEAU_INLINE R squared(Complex<R> v) {
  return v.re * v.re + v.im * v.im;
}
template <class V>
using RealOf = decltype(absolute(V()));
// Returns the 64 bits of an integer, or of a floating-point number converted to double.
template <class V>
FLAMBEAU_INLINE int64_t word(V v) {
  if constexpr (is_real<V>)
    return bit_cast<int64_t>(double(v));
  else
    return v;
}

enum class ReductionDomain : uint8_t { Any, Nonzero, Ordered, Floating, Inexact, Bits };

// The base of the struct of a reduction. The base is a template, because the compiler would allocate GPU memory for a
// constant in the struct itself.
template <ReductionDomain domain, class How>
struct ReductionRow {
  static constexpr ReductionDomain kDomain = domain;
  using Join = How;
};
#define REDUCTION(name, domain, join, expression, ...)                    \
  struct name##_reduction : ReductionRow<ReductionDomain::domain, join> { \
    template <class V>                                                    \
    static FLAMBEAU_INLINE auto map(V x) {                                \
      return expression;                                                  \
    }                                                                     \
  };
#define JOIN(join, name) name##_reduction joining(join);
#include "flambeau/reductions.def"
// The reduction that joins partial results of other reductions with the same Join. JOIN declares it.
template <class Join>
using Joining = decltype(joining(Join()));

// A reduction for values of type V. Results of the map are joined as `Leaf` within a leaf of the reduction tree or a
// few rows, and as `Result` beyond. `Plain` is the reduction of values that are already mapped.
// Note [Reduction table]
template <class Row, class V>
struct ReductionOf : Row::Join {
  using Join = typename Row::Join;
  using Value = V;
  using Mapped = decltype(Row::map(V()));
  static constexpr bool kAdds = std::is_same_v<Join, Add>, kAccumulates = kAdds || std::is_same_v<Join, Multiply>,
                        kTruth = std::is_same_v<Mapped, bool>;
  // Booleans are joined in lanes as wide as the elements.
  using Lane = std::conditional_t<
      sizeof(V) == 1, uint8_t,
      std::conditional_t<sizeof(V) == 2, int16_t, std::conditional_t<sizeof(V) == 4, int32_t, int64_t>>>;
  using Kept = std::conditional_t<kTruth, uint8_t, Mapped>;
  using Result = std::conditional_t<kAccumulates, Total<Mapped>, Kept>;
  using Leaf = std::conditional_t<kAdds, Part<Mapped>, std::conditional_t<kTruth && !kAccumulates, Lane, Result>>;
  using Plain = ReductionOf<Joining<Join>, Kept>;
  // True for the maximum and minimum of the elements themselves.
  static constexpr bool kElements = !Join::kPairs && std::is_same_v<Row, Joining<Join>>;
  static FLAMBEAU_INLINE Leaf map(V v) { return Leaf(Row::map(v)); }
};

}  // namespace flambeau::kernels::FLAMBEAU_ISA
