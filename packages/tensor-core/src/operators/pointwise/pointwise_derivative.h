// Recording of the derivatives of pointwise operators.
#pragma once

#include "flambeau/pointwise.h"

namespace flambeau {

// Records the derivative of a pointwise operator. `read`: the operands to save, with their previous values if they were
// overwritten.
void record_pointwise(PointwiseOp op, const Operand* operands, const Operand* read, const Tensor& result,
                      Recording::Kind kind);
// Returns true if the result of a pointwise operator may have a gradient. The results of comparisons and logical
// operators are constant almost everywhere.
inline bool has_gradient(const PointwiseRow& row) {
  return row.domain != Domain::Comparison && row.domain != Domain::Logical;
}

// Returns the gradient of operand i as differentiable tensor expressions. `grad`: the gradient of the result. `values`:
// the operands and then the result. Values that the derivative does not read may be undefined.
Tensor derivative_expression(const PointwiseRow& row, int i, const Tensor& grad, const Tensor* values);
// Writes the gradient of operand i to `out` without recording. `out` has the broadcast shape, and `type` is the dtype
// of the gradients. `values`: the operands and then the result. Values that the derivative does not read may be
// missing.
void run_derivative(PointwiseOp op, int i, Dtype type, const Tensor& grad, const Operand* values, const Tensor& out);
// Call this before `self` is overwritten. Sets `read` to the operands that the derivative will read. If an operand
// shares memory with `self`, `read` gets a copy of it instead. The copy is recorded and stored in `copies`.
void keep_originals(const PointwiseRow& row, const Operand* operands, const Tensor& self, Tensor* copies,
                    Operand* read);

}  // namespace flambeau
