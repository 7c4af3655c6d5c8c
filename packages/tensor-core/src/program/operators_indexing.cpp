// Indexing operators: x[key], where key contains tensors, and x[key] = value.
#include "program/operators.h"

namespace flambeau::program {

namespace {

// Implements x[key] = value; `view` is x[key]. If `value` has more dimensions than the view, leading dimensions of size
// 1 are dropped.
void set_at(const Tensor& view, const Operand& value) {
  if (!value.tensor) return void(fill_(view, value.scalar));
  Tensor source = *value.tensor;
  while (source.dim() > view.dim() && source.shape()[0] == 1) source = select(source, 0, 0);
  copy_(view, source);
}

}  // namespace

Family indexing_operators() {
  return {
      op("index", index, {1}),
      op("set_at", set_at),
  };
}

}  // namespace flambeau::program
