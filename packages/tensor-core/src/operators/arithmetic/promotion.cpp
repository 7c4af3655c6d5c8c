// Rules of dtype promotion.
#include "flambeau/operator.h"

namespace flambeau {

namespace {

const Operator result_type_operator({.signature = "result_type(tensor1|tensor, tensor2|other)",
                                     .forms = kFunction,
                                     .doc = "Return the dtype that the two operands promote to.",
                                     .forward = [](const Operand& x, const Operand& y) {
                                       const Operand both[] = {x, y};
                                       return result_type(both, 2);
                                     }});

const Operator promote_types_operator({.signature = "promote_types(type1, type2)",
                                       .forms = kFunction,
                                       .doc = "Return the smallest dtype that both dtypes convert to.",
                                       .forward = [](Dtype a, Dtype b) { return promote(a, b); }});

const Operator can_cast_operator({.signature = "can_cast(from_, to)",
                                  .forms = kFunction,
                                  .doc = "Return True if a result of the first dtype can be stored in the second one.",
                                  .forward = [](Dtype a, Dtype b) { return can_cast(a, b); },
                                  .reference = "np.can_cast(from_, to, 'same_kind')",
                                  .samples = "int, float; float, int; complex, float; bool, int"});

}  // namespace

}  // namespace flambeau
