// Pointwise operators for GPU kernels: the family FLAMBEAU_FAMILY or, if it is not set, all families. Each operator is
// a struct (a row of the operator table). Note [Pointwise table] in flambeau/pointwise.def
//
//   flambeau::device::exp_row              the struct of exp
//   value_of<Row>(V...)                    the result for one element, of type Result<Row, V>
//   derivative_of<Row, I>(grad, V..., r)   the gradient for operand I; r is the result of the operator
//   takes<Row, V>, differentiates<Row, I, V>   true if the operator has a kernel for V, or a derivative for operand I
#pragma once

#ifdef __CUDACC__
#pragma nv_diag_suppress 186  // a row's expression may compare an unsigned number with 0
#endif

#include "flambeau/kernels/complex_math.h"
#include "flambeau/kernels/math.h"
#include "flambeau/kernels/math/bessel.h"
#include "flambeau/kernels/math/oscillating_bessel.h"
#include "flambeau/kernels/pointwise_paths.h"
#include "flambeau/kernels/special_scalar.h"
#include "flambeau/pointwise_domain.h"

namespace flambeau::kernels::FLAMBEAU_ISA {
namespace {
#include "flambeau/kernels/pointwise_structs.h"
}
}  // namespace flambeau::kernels::FLAMBEAU_ISA
namespace flambeau::complex_pointwise::FLAMBEAU_ISA {
namespace {
#include "flambeau/kernels/pointwise_structs.h"
}
}  // namespace flambeau::complex_pointwise::FLAMBEAU_ISA

namespace flambeau::device {

namespace real = kernels::FLAMBEAU_ISA;
namespace complex = complex_pointwise::FLAMBEAU_ISA;

namespace {
#define FLAMBEAU_ROW(name, domain, arity)                                                      \
  struct name##_row : PointwiseKind<Domain::domain, arity> {                                   \
    template <class V>                                                                         \
    using For = std::conditional_t<is_complex_type<V>, complex::name##_row, real::name##_row>; \
  };
#define UNARY(name, domain, ...) FLAMBEAU_ROW(name, domain, 1)
#define BINARY(name, domain, ...) FLAMBEAU_ROW(name, domain, 2)
#define TERNARY(name, domain, ...) FLAMBEAU_ROW(name, domain, 3)
#include "flambeau/pointwise.def"
#undef FLAMBEAU_ROW
}  // namespace

template <class Row>
inline constexpr bool returns_mask = Row::kDomain == Domain::Comparison || Row::kDomain == Domain::Logical;
template <class Row, class V>
inline constexpr bool returns_real = false;
template <class Row, class T>
inline constexpr bool returns_real<Row, Complex<T>> =
    std::is_floating_point_v<decltype(Row::template For<Complex<T>>::example(Complex<T>(0)))>;

// A mask is stored in bytes.
template <class Row, class V>
struct ResultOf : std::conditional<returns_mask<Row>, uint8_t, V> {};
template <class Row, class T>
  requires(!returns_mask<Row>)
struct ResultOf<Row, Complex<T>> : std::conditional<returns_real<Row, Complex<T>>, T, Complex<T>> {};
template <class Row, class V>
using Result = typename ResultOf<Row, V>::type;

template <class Row, class V>
constexpr bool has_kernel() {
  if constexpr (is_complex_type<V>)
    return Row::template For<V>::template supports<V>();
  else if constexpr (sizeof(V) == 1)
    return has_trait<typename Row::template For<V>>(pointwise_trait::kBytes);
  else if constexpr (std::is_integral_v<V>)
    return Row::kDomain != Domain::Floating && Row::kDomain != Domain::Real;
  else
    return Row::kDomain != Domain::Integral && Row::kDomain != Domain::Whole;
}
template <class Row, class V>
inline constexpr bool takes = has_kernel<Row, V>();

template <class Row, int I, class V>
constexpr bool has_derivative() {
  if constexpr (I >= Row::kArity || std::is_integral_v<V>)
    return false;
  else if constexpr (is_complex_type<V>)
    return takes<Row, V> && exists<typename Row::template For<V>, I>() &&
           Row::template For<V>::template differentiates<I, V>();
  else
    return exists<typename Row::template For<V>, I>();
}
template <class Row, int I, class V>
inline constexpr bool differentiates = has_derivative<Row, I, V>();

// Evaluates the operator's expression with the number type that suits the operands: Unbounded, which is slower, if the
// fast functions are not valid for the operands; Near for moderate quotients; otherwise V.
template <class R, class V>
FLAMBEAU_INLINE auto plain_value(V x) {
  if constexpr (!is_complex_type<V>)
    if constexpr (real::has_unusual<R, V>())
      if (real::is_unusual<R>(x)) return R::template value<real::Unbounded<V>>(x).value;
  return R::template value<V>(x);
}
template <class R, class V>
FLAMBEAU_INLINE auto plain_value(V x, V y) {
  if constexpr (real::divides_nearby<R, V>())
    if (real::is_near(x, y)) return R::template value<real::Near<V>>(x, y).value;
  return R::template value<V>(x, y);
}
template <class R, class V>
FLAMBEAU_INLINE auto plain_value(V x, V y, V z) {
  return R::template value<V>(x, y, z);
}
template <class Row, class V, class... More>
FLAMBEAU_INLINE Result<Row, V> value_of(V x, More... more) {
  const auto value = plain_value<typename Row::template For<V>>(x, V(more)...);
  if constexpr (returns_mask<Row>)
    return value != 0;
  else
    return static_cast<Result<Row, V>>(value);
}

// Note [Complex derivatives] in operators/pointwise/pointwise_derivative.cpp
template <class Row, int I, class V, class... Operands>
FLAMBEAU_INLINE V derivative_of(V grad, Operands... operands) {
  using R = typename Row::template For<V>;
  if constexpr (is_complex_type<V>) {
    using complex::conj;
    if constexpr (returns_real<Row, V>)
      return R::template derivative<I, V>(grad, operands...);
    else
      return conj(static_cast<V>(R::template derivative<I, V>(conj(grad), operands...)));
  } else {
    if constexpr (real::derivative_reduces_angles<R, I, V>()) {
      const V of_first[] = {operands...};
      if (real::is_unbounded(of_first[0]))
        return R::template derivative<I, real::Unbounded<V>>(grad, operands...).value;
    }
    return R::template derivative<I, V>(grad, operands...);
  }
}

}  // namespace flambeau::device
