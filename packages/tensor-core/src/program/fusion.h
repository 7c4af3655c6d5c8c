// Groups of pointwise operators that run as one. Internal.
//
// Note [Fusion]
// A program is optimised when it is read. Neighbouring pointwise operators become a group, which runs as one chain
// (Note [Chains]) if all of its tensors are on the CPU, have one floating dtype, and need no gradient. Otherwise the
// group runs its operators one by one, so results, gradients and errors are those of the operators. A group knows no
// shapes: the same program serves all sizes.
//
// `lowered` gives the row that computes an operator. An operator without a row runs by itself. The environment variable
// FLAMBEAU_FUSION=0 disables fusion for programs that are read afterwards.
#pragma once

#include <optional>

#include "program/body.h"

namespace flambeau::program {

// An operand of a step: an argument of the group, or the result of an earlier step.
struct StepOperand {
  bool is_step = false;
  int number = 0;
};

struct FusedStep {
  PointwiseOp row = {};
  bool normalizes = false;  // batch_norm with running statistics: input, weight, bias, mean and variance
  double eps = 0;
  bool fills = false;  // the second operand of `where` is a number of masked_fill, which has to fit the dtype
  int written = -1;    // of an in-place operator: the operand that it writes to, whose shape the result has
  SmallVector<StepOperand, 5> operands;
};

struct FusedGroup {
  std::vector<Program::Body::Argument> arguments;
  std::vector<bool> dies;  // the argument's register is not read after the group
  std::vector<FusedStep> steps;
  bool normalizes = false;                               // a step does
  std::vector<int> outputs;                              // steps whose results the rest of the program reads
  std::vector<Program::Body::Instruction> instructions;  // that it replaces
};

// Runs the group as one chain and appends its outputs to `results`. Returns false, and does nothing, if its operators
// have to run one by one.
bool run_fused(const FusedGroup& group, const Value* const* arguments, Values& results);

// The steps of one instruction, whose operands are its arguments, or none if the operator is not made of rows.
std::optional<FusedStep> lowered(const Program::Body::Instruction& instruction,
                                 std::vector<Program::Body::Argument>& operands);

}  // namespace flambeau::program
