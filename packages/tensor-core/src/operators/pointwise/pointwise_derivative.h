// Recording of the derivatives of pointwise operators.
#pragma once

#include "flambeau/pointwise.h"

namespace flambeau {

// `read` contains the operands to save, with their former values if they were overwritten.
void record_pointwise(PointwiseOp op, const Operand* operands, const Operand* read, const Tensor& result,
                      Recording::Kind kind);
// Call this before `self` is overwritten. Returns the operands that the derivative will read; those that share memory
// with `self` are replaced by recorded copies.
void keep_originals(const PointwiseRow& row, const Operand* operands, const Tensor& self, Tensor* copies,
                    Operand* read);

}  // namespace flambeau
