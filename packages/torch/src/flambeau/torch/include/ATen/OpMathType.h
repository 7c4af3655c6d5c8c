// The types in which operators compute elements and accumulate sums. For half-precision elements, both are float.
#pragma once

#include <c10/util/Half.h>

namespace at {

template <class T>
struct OpMathType {
  using type = T;
};
template <>
struct OpMathType<c10::Half> {
  using type = float;
};
template <>
struct OpMathType<c10::BFloat16> {
  using type = float;
};
template <class T>
using opmath_type = typename OpMathType<T>::type;

// The type in which sums are accumulated. As in PyTorch, sums of float use double on the CPU.
template <class T, bool is_cuda>
struct AccumulateType {
  using type =
      std::conditional_t<std::is_integral_v<T>, int64_t,
                         std::conditional_t<is_cuda, opmath_type<T>,
                                            std::conditional_t<std::is_same_v<T, float>, double, opmath_type<T>>>>;
};
template <class T, bool is_cuda>
using acc_type = typename AccumulateType<T, is_cuda>::type;

}  // namespace at
