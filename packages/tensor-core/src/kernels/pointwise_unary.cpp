// Kernels of the unary rows.
#include "kernels/pointwise_loops.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {
#define UNARY(name, domain, doc, reference, expression, dx)                                                         \
  struct name##_row {                                                                                               \
    FLAMBEAU_ROW_HEAD(name, domain, 1)                                                                              \
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
#include "flambeau/pointwise.def"
}  // namespace

void fill_unary(Table& table) {
#define UNARY(name, ...) fill_row<name##_row>(table);
#include "flambeau/pointwise.def"
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
