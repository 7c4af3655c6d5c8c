// Traces of the expressions of pointwise operators. A Trace, evaluated at compile time, records which operands and
// functions the expressions use. Note [Pointwise traits] in pointwise_traits.h
#pragma once

#include "flambeau/kernels/pointwise_traits.h"
#include "flambeau/macros.h"

namespace flambeau::pointwise_trace {

using namespace pointwise_trait;

enum Use : uint8_t {
  kNotModular = 1,      // not one of + - * and the bitwise operators, which are exact modulo 2**n
  kOrder = 2,           // the order of integers, which differs for signed and unsigned integers
  kWideFunction = 4,    // a call of a function without the trait kNarrow
  kSlowFunction = 8,    // a call of a function without kHalves
  kLimitedAngles = 16,  // a call of a function with kAngles
  kLimitedGamma = 32,   // a call of a function with kLogGamma
  kNotDefined = 64,     // the derivative does not exist
};

struct Trace {
  uint8_t reads = 0;  // bit i: operand i; bit `arity`: the result
  uint8_t uses = 0;   // bits of Use
  constexpr Trace(int reads, int uses) : reads(uint8_t(reads)), uses(uint8_t(uses)) {}
  constexpr Trace(int) {}  // a constant in the expression, which reads no operand
};
inline constexpr Trace none{0, kNotDefined}, zero{0, 0};

constexpr Trace join(Trace a, Trace b, int uses) { return {a.reads | b.reads, a.uses | b.uses | uses}; }
#define FLAMBEAU_OPERATOR(symbol, uses) \
  constexpr Trace operator symbol(Trace a, Trace b) { return join(a, b, uses); }
FLAMBEAU_OPERATOR(+, 0)
FLAMBEAU_OPERATOR(-, 0)
FLAMBEAU_OPERATOR(*, 0)
FLAMBEAU_OPERATOR(&, 0)
FLAMBEAU_OPERATOR(|, 0)
FLAMBEAU_OPERATOR(^, 0)
FLAMBEAU_OPERATOR(==, kNotModular)
FLAMBEAU_OPERATOR(!=, kNotModular)
FLAMBEAU_OPERATOR(/, kNotModular | kOrder)
FLAMBEAU_OPERATOR(<, kNotModular | kOrder)
FLAMBEAU_OPERATOR(<=, kNotModular | kOrder)
FLAMBEAU_OPERATOR(>, kNotModular | kOrder)
FLAMBEAU_OPERATOR(>=, kNotModular | kOrder)
#undef FLAMBEAU_OPERATOR
constexpr Trace operator-(Trace a) { return a; }
constexpr Trace operator~(Trace a) { return a; }

// Return the Use bits of a call of a function with these traits.
constexpr int uses_of(uint8_t traits) {
  return kNotModular | (traits & kSignless ? 0 : kOrder) | (traits & kNarrow ? 0 : kWideFunction) |
         (traits & kHalves ? 0 : kSlowFunction) | (traits & kAngles ? kLimitedAngles : 0) |
         (traits & kLogGamma ? kLimitedGamma : 0);
}
#define FLAMBEAU_NAMES
#define UNARY(name, ...) \
  constexpr Trace name(Trace x) { return join(x, x, uses_of(traits_of(PointwiseName::name))); }
#define BINARY(name, ...) \
  constexpr Trace name(Trace x, Trace y) { return join(x, y, uses_of(traits_of(PointwiseName::name))); }
#define TERNARY(name, ...)                                                  \
  constexpr Trace name(Trace x, Trace y, Trace z) {                         \
    return join(join(x, y, 0), z, uses_of(traits_of(PointwiseName::name))); \
  }
#include "flambeau/pointwise.def"

// Functions that expressions call, but that are not operators of their family, `basic` or `elementary`.
#define FLAMBEAU_FUNCTION(name, traits) \
  constexpr Trace name(Trace x, Trace y = 0) { return join(x, y, uses_of(traits)); }
FLAMBEAU_FUNCTION(angle_slope, 0)
FLAMBEAU_FUNCTION(below_half, kHalves)
FLAMBEAU_FUNCTION(conj, kNarrow)
FLAMBEAU_FUNCTION(frexp_mantissa, 0)
FLAMBEAU_FUNCTION(gelu_inner, 0)
FLAMBEAU_FUNCTION(left_shift, kNarrow)
FLAMBEAU_FUNCTION(lgamma_slope, 0)
FLAMBEAU_FUNCTION(log1p_of_exp, 0)
FLAMBEAU_FUNCTION(log_of_gamma, kLogGamma)
FLAMBEAU_FUNCTION(mish_gate, 0)
FLAMBEAU_FUNCTION(real_part, 0)
FLAMBEAU_FUNCTION(right_shift, kNarrow)
#undef FLAMBEAU_FUNCTION
template <class V>
constexpr V c(double) {
  return {0, kNotModular};
}

#include "flambeau/kernels/pointwise_structs.h"

template <class Row>
constexpr Trace value() {
  constexpr Trace x{1, 0}, y{2, 0}, z{4, 0};
  if constexpr (Row::kArity == 1)
    return Row::Traced::template value<Trace>(x);
  else if constexpr (Row::kArity == 2)
    return Row::Traced::template value<Trace>(x, y);
  else
    return Row::Traced::template value<Trace>(x, y, z);
}
template <class Row, int I>
constexpr Trace derivative() {
  constexpr Trace grad{0, 0}, x{1, 0}, y{2, 0}, z{4, 0}, result{1 << Row::kArity, 0};
  if constexpr (Row::kArity == 1)
    return Row::Traced::template derivative<I, Trace>(grad, x, result);
  else if constexpr (Row::kArity == 2)
    return Row::Traced::template derivative<I, Trace>(grad, x, y, result);
  else
    return Row::Traced::template derivative<I, Trace>(grad, x, y, z, result);
}

}  // namespace flambeau::pointwise_trace

namespace flambeau {

// Return true if an operator's value, or the derivative for operand I, uses any of the pointwise_trace::Use bits.
template <class Row>
constexpr bool uses(int use) {
  constexpr auto trace = pointwise_trace::value<Row>();
  return trace.uses & use;
}
template <class Row, int I>
constexpr bool derivative_uses(int use) {
  constexpr auto trace = pointwise_trace::derivative<Row, I>();
  return trace.uses & use;
}
// Return the operands that the derivative for operand I reads: bit i for operand i, bit Row::kArity for the result.
template <class Row, int I>
constexpr uint8_t reads() {
  constexpr auto trace = pointwise_trace::derivative<Row, I>();
  return trace.reads;
}
template <class Row, int I>
constexpr bool exists() {
  return !derivative_uses<Row, I>(pointwise_trace::kNotDefined);
}

}  // namespace flambeau
