// The kernels of one family of rows: a kernel file includes pointwise_loops.h, names the family in FLAMBEAU_FAMILY and
// the function that puts its kernels into the table in FLAMBEAU_FILL, and includes this.

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {
#define UNARY(name, domain, accuracy, doc, reference, expression, dx)                                               \
  struct name##_row {                                                                                               \
    FLAMBEAU_ROW_HEAD(name, domain, 1)                                                                              \
    static constexpr std::string_view kValue = #expression;                                                         \
    static constexpr std::string_view kDerivatives[] = {#dx};                                                       \
    template <class V>                                                                                              \
    static FLAMBEAU_INLINE auto value([[maybe_unused]] V x) {                                                       \
      return expression;                                                                                            \
    }                                                                                                               \
    template <int I, class V>                                                                                       \
    static FLAMBEAU_INLINE V derivative([[maybe_unused]] V grad, [[maybe_unused]] V x, [[maybe_unused]] V result) { \
      return dx;                                                                                                    \
    }                                                                                                               \
  };
#define BINARY(name, domain, accuracy, doc, reference, expression, dx, dy)                                   \
  struct name##_row {                                                                                        \
    FLAMBEAU_ROW_HEAD(name, domain, 2)                                                                       \
    static constexpr std::string_view kValue = #expression;                                                  \
    static constexpr std::string_view kDerivatives[] = {#dx, #dy};                                           \
    template <class V>                                                                                       \
    static FLAMBEAU_INLINE auto value(V x, V y) {                                                            \
      return expression;                                                                                     \
    }                                                                                                        \
    template <int I, class V>                                                                                \
    static FLAMBEAU_INLINE V derivative([[maybe_unused]] V grad, [[maybe_unused]] V x, [[maybe_unused]] V y, \
                                        [[maybe_unused]] V result) {                                         \
      if constexpr (I == 0)                                                                                  \
        return dx;                                                                                           \
      else                                                                                                   \
        return dy;                                                                                           \
    }                                                                                                        \
  };
#define TERNARY(name, domain, accuracy, doc, reference, expression, dx, dy, dz)                              \
  struct name##_row {                                                                                        \
    FLAMBEAU_ROW_HEAD(name, domain, 3)                                                                       \
    static constexpr std::string_view kValue = #expression;                                                  \
    static constexpr std::string_view kDerivatives[] = {#dx, #dy, #dz};                                      \
    template <class V>                                                                                       \
    static FLAMBEAU_INLINE auto value(V x, V y, V z) {                                                       \
      return expression;                                                                                     \
    }                                                                                                        \
    template <int I, class V>                                                                                \
    static FLAMBEAU_INLINE V derivative([[maybe_unused]] V grad, [[maybe_unused]] V x, [[maybe_unused]] V y, \
                                        [[maybe_unused]] V z, [[maybe_unused]] V result) {                   \
      if constexpr (I == 0)                                                                                  \
        return dx;                                                                                           \
      else if constexpr (I == 1)                                                                             \
        return dy;                                                                                           \
      else                                                                                                   \
        return dz;                                                                                           \
    }                                                                                                        \
  };
#include "flambeau/pointwise.def"
}  // namespace

void FLAMBEAU_FILL(Table& table) {
#define UNARY(name, ...) fill_row<name##_row>(table);
#define BINARY(name, ...) fill_row<name##_row>(table);
#define TERNARY(name, ...) fill_row<name##_row>(table);
#include "flambeau/pointwise.def"
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
