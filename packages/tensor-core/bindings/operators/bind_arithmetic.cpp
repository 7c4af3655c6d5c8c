// The rules of promotion.
#include "calls/bind.h"
#include "flambeau/rows/arithmetic.h"
#include "flambeau/rows/exponential.h"
#include "flambeau/rows/selection.h"

namespace flambeau::python {

void bind_arithmetic() {
  def("result_type(tensor1|tensor, tensor2|other)", kFunction, "The dtype the two operands promote to.",
      [](const Operand& x, const Operand& y) {
        const Operand both[] = {x, y};
        return result_type(both, 2);
      });
  def("promote_types(type1, type2)", kFunction, "The smallest dtype both convert to.",
      [](Dtype a, Dtype b) { return promote(a, b); });
  def("can_cast(from_, to)", kFunction, "Whether a result of the first dtype may be stored in the second.",
      [](Dtype a, Dtype b) { return can_cast(a, b); });
}

}  // namespace flambeau::python
