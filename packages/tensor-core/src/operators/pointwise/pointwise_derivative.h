// The derivatives of the pointwise operators, as they are recorded.
#pragma once

#include "flambeau/pointwise.h"

namespace flambeau {

// `read` stands for the operands among what is saved: with their former values where they were overwritten.
void record_pointwise(PointwiseOp op, const Operand* operands, const Operand* read, const Tensor& result,
                      Recording::Kind kind);
// Before `self` is overwritten: the operands that the derivatives will read, with recorded copies of those that share
// its memory.
void keep_originals(const PointwiseRow& row, const Operand* operands, const Tensor& self, Tensor* copies,
                    Operand* read);

}  // namespace flambeau
