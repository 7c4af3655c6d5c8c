// Defines a struct name_row for each row of the operator table. The struct contains the expressions of the row as
// functions that are generic in the value type, and whether the expressions compile for a type. Include this file once
// in each namespace whose functions the expressions should call. Therefore it has no include guard. Note [Pointwise
// table]
//
// The members of a struct:
//
//   operator_name(), kDomain, kArity
//   Traced                                   the same row in pointwise_trace.h
//   value(V...)                              the value
//   derivative<I>(grad, V..., result)        the gradient for operand I
//   supports<V>(), differentiates<I, V>()    true if all functions in the expressions exist for V
//   example(V)                               for decltype: the type of the value

#define UNARY(name, domain, accuracy, doc, reference, expression, dx)                            \
  struct name##_row : PointwiseKind<Domain::domain, 1> {                                         \
    using Traced = ::flambeau::pointwise_trace::name##_row;                                      \
    static constexpr PointwiseName operator_name() { return PointwiseName::name; }               \
    template <class V>                                                                           \
    static constexpr bool supports() {                                                           \
      return requires([[maybe_unused]] V x) { expression; };                                     \
    }                                                                                            \
    template <int I, class V>                                                                    \
    static constexpr bool differentiates() {                                                     \
      return requires(V grad, V x, V result) { accepts<V>(dx); };                                \
    }                                                                                            \
    template <class V>                                                                           \
    static FLAMBEAU_INLINE constexpr auto value([[maybe_unused]] V x) {                          \
      return expression;                                                                         \
    }                                                                                            \
    template <class V>                                                                           \
    static auto example(V x) {                                                                   \
      return value(x);                                                                           \
    }                                                                                            \
    template <int I, class V>                                                                    \
    static FLAMBEAU_INLINE constexpr V derivative([[maybe_unused]] V grad, [[maybe_unused]] V x, \
                                                  [[maybe_unused]] V result) {                   \
      return dx;                                                                                 \
    }                                                                                            \
  };
#define BINARY(name, domain, accuracy, doc, reference, expression, dx, dy)                                             \
  struct name##_row : PointwiseKind<Domain::domain, 2> {                                                               \
    using Traced = ::flambeau::pointwise_trace::name##_row;                                                            \
    static constexpr PointwiseName operator_name() { return PointwiseName::name; }                                     \
    template <class V>                                                                                                 \
    static constexpr bool supports() {                                                                                 \
      return requires(V x, V y) { expression; };                                                                       \
    }                                                                                                                  \
    template <int I, class V>                                                                                          \
    static constexpr bool differentiates() {                                                                           \
      if constexpr (I == 0)                                                                                            \
        return requires(V grad, V x, V y, V result) { accepts<V>(dx); };                                               \
      else                                                                                                             \
        return requires(V grad, V x, V y, V result) { accepts<V>(dy); };                                               \
    }                                                                                                                  \
    template <class V>                                                                                                 \
    static FLAMBEAU_INLINE constexpr auto value(V x, V y) {                                                            \
      return expression;                                                                                               \
    }                                                                                                                  \
    template <class V>                                                                                                 \
    static auto example(V x) {                                                                                         \
      return value(x, x);                                                                                              \
    }                                                                                                                  \
    template <int I, class V>                                                                                          \
    static FLAMBEAU_INLINE constexpr V derivative([[maybe_unused]] V grad, [[maybe_unused]] V x, [[maybe_unused]] V y, \
                                                  [[maybe_unused]] V result) {                                         \
      if constexpr (I == 0)                                                                                            \
        return dx;                                                                                                     \
      else                                                                                                             \
        return dy;                                                                                                     \
    }                                                                                                                  \
  };
#define TERNARY(name, domain, accuracy, doc, reference, expression, dx, dy, dz)                                        \
  struct name##_row : PointwiseKind<Domain::domain, 3> {                                                               \
    using Traced = ::flambeau::pointwise_trace::name##_row;                                                            \
    static constexpr PointwiseName operator_name() { return PointwiseName::name; }                                     \
    template <class V>                                                                                                 \
    static constexpr bool supports() {                                                                                 \
      return requires(V x, V y, V z) { expression; };                                                                  \
    }                                                                                                                  \
    template <int I, class V>                                                                                          \
    static constexpr bool differentiates() {                                                                           \
      if constexpr (I == 0)                                                                                            \
        return requires(V grad, V x, V y, V z, V result) { accepts<V>(dx); };                                          \
      else if constexpr (I == 1)                                                                                       \
        return requires(V grad, V x, V y, V z, V result) { accepts<V>(dy); };                                          \
      else                                                                                                             \
        return requires(V grad, V x, V y, V z, V result) { accepts<V>(dz); };                                          \
    }                                                                                                                  \
    template <class V>                                                                                                 \
    static FLAMBEAU_INLINE constexpr auto value(V x, V y, V z) {                                                       \
      return expression;                                                                                               \
    }                                                                                                                  \
    template <class V>                                                                                                 \
    static auto example(V x) {                                                                                         \
      return value(x, x, x);                                                                                           \
    }                                                                                                                  \
    template <int I, class V>                                                                                          \
    static FLAMBEAU_INLINE constexpr V derivative([[maybe_unused]] V grad, [[maybe_unused]] V x, [[maybe_unused]] V y, \
                                                  [[maybe_unused]] V z, [[maybe_unused]] V result) {                   \
      if constexpr (I == 0)                                                                                            \
        return dx;                                                                                                     \
      else if constexpr (I == 1)                                                                                       \
        return dy;                                                                                                     \
      else                                                                                                             \
        return dz;                                                                                                     \
    }                                                                                                                  \
  };
#include "flambeau/pointwise.def"
