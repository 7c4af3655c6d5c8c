// Kernels of the binary and ternary rows.
#include "kernels/pointwise_loops.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {
#define BINARY(name, domain, doc, reference, expression, dx, dy)                                             \
  struct name##_row {                                                                                        \
    FLAMBEAU_ROW_HEAD(name, domain, 2)                                                                       \
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
#define TERNARY(name, domain, doc, reference, expression, dx, dy, dz)                                        \
  struct name##_row {                                                                                        \
    FLAMBEAU_ROW_HEAD(name, domain, 3)                                                                       \
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

void fill_binary(Table& table) {
#define BINARY(name, ...) fill_row<name##_row>(table);
#define TERNARY(name, ...) fill_row<name##_row>(table);
#include "flambeau/pointwise.def"
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
