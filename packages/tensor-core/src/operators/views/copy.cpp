// Operators that copy.
#include "flambeau/operator.h"
#include "flambeau/operators.h"

namespace flambeau {

const Operator detach_operator({.signature = "detach(input)",
                                .forms = kFunction | kMethod | kCopy,
                                .doc = "The same elements without history.",
                                .forward = detach});

const Operator alias_copy_operator({.signature = "alias_copy(input)",
                                    .forms = kFunction | kOut,
                                    .doc = "A copy.",
                                    .forward = [](const Tensor& t) { return clone(t); }});

const Operator slice_copy_operator({.signature = "slice_copy(input, dim=0, start=None, end=None, step=1)",
                                    .forms = kFunction | kOut,
                                    .doc = "A copy of input[start:end:step] along dim.",
                                    .forward = [](const Tensor& t, int64_t dim, std::optional<int64_t> start,
                                                  std::optional<int64_t> end, int64_t step) {
                                      return clone(slice(t, dim, start.value_or(0), end.value_or(INT64_MAX), step));
                                    }});

const Operator clone_operator(
    {.signature = "clone(input, *, memory_format=None)",
     .forms = kFunction | kMethod,
     .doc = "A copy, in the same order of memory unless another is asked for. Gradient: passes through.",
     .forward = [](const Tensor& t,
                   std::optional<MemoryFormat> format) { return clone(t, format.value_or(MemoryFormat::Preserve)); },
     .reference = "input.copy()",
     .samples = "f(2, 3); b(3)"});

const Operator square_operator(
    {.signature = "square(input)",
     .forms = kFunction | kMethod | kInPlace | kOut | kRow,
     .doc = "input * input; of booleans as integers. Gradient: input, any order.",
     .forward = [](const Tensor& x) { return x.dtype() == Dtype::bool_ ? to(x, Dtype::int64) : square(x); },
     .reference = "np.square(input)",
     .samples = "f(2, 3); i(3)"});

}  // namespace flambeau
