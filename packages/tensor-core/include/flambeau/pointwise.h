// Execution of pointwise operators. Note [Pointwise table] in pointwise.def explains the rows of the operator table.
#pragma once

#include <array>
#include <span>

#include "flambeau/autograd.h"
#include "flambeau/pointwise_row.h"

namespace flambeau {

FLAMBEAU_API std::span<const PointwiseRow> pointwise_rows();
struct PointwiseAlias {
  const char *alias, *name;
};
FLAMBEAU_API std::span<const PointwiseAlias> pointwise_aliases();
FLAMBEAU_API extern const std::array<const PointwiseRow*, kPointwiseSlots> rows_by_number;
inline const PointwiseRow& row_of(PointwiseOp op) { return *rows_by_number[size_t(op)]; }
FLAMBEAU_API bool takes_complex(PointwiseOp op);  // returns true if the value expression is defined for complex numbers

// Runs a pointwise operator and records it for the backward pass.
FLAMBEAU_API Tensor pointwise(PointwiseOp op, const Operand* operands);
// Runs a pointwise operator and writes the result to `out`, which is resized. The result is converted to the dtype of
// `out`. `name`: the name for error messages, if it differs from the name of the operator.
FLAMBEAU_API Tensor pointwise_into(PointwiseOp op, const Operand* operands, const Tensor& out,
                                   const char* name = nullptr);
// Runs a pointwise operator in place on operands[0], which must be a tensor.
FLAMBEAU_API Tensor pointwise_(PointwiseOp op, const Operand* operands, const char* name = nullptr);
// Returns the dtype to which the operands promote.
FLAMBEAU_API Dtype result_type(const Operand* operands, int count);

// Runs any kernel over broadcast operands without recording: output[...] = kernel(operands[...]). The output's shape is
// the broadcast shape; every operand is converted to `in`. The kernel's result has the dtype `from` and is converted to
// the dtype of the output.
FLAMBEAU_API void run_kernel(PointwiseKernel kernel, const Tensor& output, Dtype from, const Operand* operands,
                             int count, Dtype in);

FLAMBEAU_API const char* instruction_set();  // the instruction set of the kernels in use

}  // namespace flambeau
