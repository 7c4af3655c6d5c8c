// Operators that copy tensors.
#include "flambeau/operator.h"
#include "flambeau/operators.h"

namespace flambeau {

const Operator detach_operator(
    {.signature = "detach(input)",
     .forms = kFunction | kMethod | kCopy,
     .doc = "Return a tensor that shares the memory of the input and is not part of the graph.",
     .forward = detach});

const Operator alias_copy_operator({.signature = "alias_copy(input)",
                                    .forms = kFunction | kOut,
                                    .doc = "Return a copy.",
                                    .forward = [](const Tensor& t) { return clone(t); }});

const Operator slice_copy_operator({.signature = "slice_copy(input, dim=0, start=None, end=None, step=1)",
                                    .forms = kFunction | kOut,
                                    .doc = "Return a copy of input[start:end:step] along dim.",
                                    .forward = [](const Tensor& t, int64_t dim, std::optional<int64_t> start,
                                                  std::optional<int64_t> end, int64_t step) {
                                      return clone(slice(t, dim, start.value_or(0), end.value_or(INT64_MAX), step));
                                    }});

const Operator clone_operator(
    {.signature = "clone(input, *, memory_format=None)",
     .forms = kFunction | kMethod,
     .doc = "Return a copy in the given memory format (default: the format of the input). Gradient: input.",
     .forward = [](const Tensor& t,
                   std::optional<MemoryFormat> format) { return clone(t, format.value_or(MemoryFormat::Preserve)); },
     .reference = "input.copy()",
     .samples = "f(2, 3); b(3)"});

const Operator square_operator(
    {.signature = "square(input)",
     .forms = kFunction | kMethod | kInPlace | kOut,
     .doc = "Compute input * input; booleans are converted to integers. Gradient: input, any order.",
     .forward = [](const Tensor& x) { return x.dtype() == Dtype::bool_ ? to(x, Dtype::int64) : square(x); },
     .in_place = [](const Tensor& x) { return pointwise_(op::square, std::initializer_list<Operand>{x}.begin()); },
     .reference = "np.square(input)",
     .samples = "f(2, 3); i(3)"});

namespace {

const Tensor& one_value(const Tensor& value) {
  require(value.dim() == 0, "fill_ only supports 0-dimension value tensor but got tensor with ", value.dim(),
          " dimensions.");
  return value;
}

Tensor filled(const Tensor& t, const Operand& value) {
  Tensor out = empty(t.shape(), t.dtype()), given;
  {
    NoRecording off;
    if (value.tensor)
      copy_(out, given = one_value(*value.tensor));
    else
      fill_(out, value.scalar);
  }
  if (recording(t, given))
    record("Fill", out, {&t, &given}, {}, [from = given.defined() ? given.dtype() : t.dtype()](const Context& c) {
      const Tensor& g = c.gradient();
      if (c.needs(0)) c.set(0, zeros(g.shape(), g.dtype()));
      if (c.needs(1)) c.set(1, to(sum(g, {}, false, {}), from));
    });
  return out;
}

Tensor fill_in_place(const Tensor& t, const Operand& value) {
  return value.tensor ? copy_(t, one_value(*value.tensor)) : fill_(t, value.scalar);
}

const Operator fill_operator({.signature = "fill(input, value)",
                              .forms = kFunction | kInPlace,
                              .doc =
                                  R"(Return a tensor like input filled with a number or a 0-d tensor.

Gradient: 0 for input, the sum of the elements for value.

>>> flambeau.fill(flambeau.zeros(2), 3)
tensor([3., 3.]))",
                              .forward = filled,
                              .in_place = fill_in_place,
                              .reference = "np.full_like(input, value)",
                              .samples = "f(2, 3), 2.5; i(3), 2"});

const Operator zero__operator({.signature = "zero_(input)",
                               .forms = kFunction | kMethod,
                               .doc = "Set every element to 0.",
                               .forward = [](const Tensor& t) { return fill_(t, Scalar(0)); }});

}  // namespace

}  // namespace flambeau
