// Groups of operators that run as one operation.
//
// Note [Fusion]
// A program is optimised when it is read. Adjacent pointwise operators and functions of rows (softmax, layer_norm, sums
// over the last dimensions) become a group. A group runs as one chain (Note [Chains]) if all of its tensors are on the
// CPU and have the same floating dtype. On a GPU, a group of pointwise operators runs as generated kernels
// (gpu_chain.h). If a tensor needs a gradient, only groups of pointwise operators run in this way, and their backward
// pass is also a chain (Note [Derivatives of groups]). Otherwise the group runs its operators one by one. Therefore
// results, gradients and errors are the same as without fusion. A group does not depend on shapes, so one program
// serves all sizes. It caches a plan for each of the last few layouts of its arguments (group_plan.h).
//
// `lowered` returns the step that computes an operator. An operator without a step runs separately. If the environment
// variable FLAMBEAU_FUSION is 0, programs that are read afterwards are not fused.
#pragma once

#include <map>
#include <mutex>
#include <optional>

#include "operators/pointwise/row_functions.h"
#include "program/body.h"

namespace flambeau::program {

// An operand of a step: an argument of the group, or the result of an earlier step.
struct StepOperand {
  bool is_step = false;
  int number = 0;
};

struct FusedStep {
  // Pointwise: a pointwise operator. Channels: batch_norm with running statistics; its operands are input, weight,
  // bias, mean and variance. Rows: a function of the last dimensions; its operands are the input and, for the
  // normalisations, weight and bias.
  enum Kind : uint8_t { Pointwise, Channels, Rows } kind = Pointwise;
  PointwiseOp row = {};
  // For Pointwise: the index of the operand whose derivative the step computes, or -1 if the step computes the operator
  // itself. The operands of a derivative are the gradient of the result and the values that the derivative reads.
  int derivative = -1;
  bool fills = false;         // true if `where` computes masked_fill, whose value must fit in the dtype
  int written = -1;           // for an in-place operator: the operand to overwrite, which must have the result's shape
  std::optional<double> eps;  // for the normalisations; nothing means the machine epsilon of the dtype
  RowStep function;           // for Rows
  Shape dims;                 // for Rows: the dimensions, or `normalized_shape` of a normalisation
  bool keeps_dims = false;    // `keepdim` of a reduction
  SmallVector<StepOperand, 5> operands;

  bool normalizes() const {
    return function.function == RowFunction::LayerNorm || function.function == RowFunction::RmsNorm;
  }
};

class GroupPlan;

// The plans for the latest layouts of a group's arguments. A copy of the cache starts empty.
class PlanCache {
 public:
  PlanCache() = default;
  PlanCache(const PlanCache&) {}
  PlanCache& operator=(const PlanCache&) = delete;

  using Arguments = const Value* const*;
  std::shared_ptr<const GroupPlan> find(const struct FusedGroup& group, Arguments arguments);

 private:
  static constexpr size_t kMaxPlans = 4;
  std::mutex mutex_;  // threads hold it only together with the GIL, so no fork interrupts them
  SmallVector<std::shared_ptr<const GroupPlan>, kMaxPlans> plans_;  // the most recent first
};

class DifferentiatedGroup;

// The derivatives of a group for the latest sets of arguments that need gradients. A copy of the cache starts empty.
class DerivativeCache {
 public:
  DerivativeCache() = default;
  DerivativeCache(const DerivativeCache&) {}
  DerivativeCache& operator=(const DerivativeCache&) = delete;

  // needs: bit i is set if argument i needs a gradient.
  std::shared_ptr<const DifferentiatedGroup> find(const struct FusedGroup& group, uint64_t needs);

 private:
  static constexpr size_t kCapacity = 8;
  std::mutex mutex_;  // see PlanCache
  std::map<uint64_t, std::shared_ptr<const DifferentiatedGroup>> groups_;
};

struct FusedGroup {
  std::vector<Program::Body::Argument> arguments;
  std::vector<bool> dies;               // true for each argument whose register is not read after the group
  std::vector<bool> is_read_elsewhere;  // true for each argument that something outside the group may read
  std::vector<FusedStep> steps;
  std::vector<int> outputs;                              // steps whose results the rest of the program reads
  std::vector<Program::Body::Instruction> instructions;  // the instructions that the group replaces
  bool can_record = false;  // false if an in-place operator may overwrite what a backward pass reads
  mutable PlanCache plans;
  mutable DerivativeCache derivatives;
};

// Runs the group as one chain and appends its outputs to `results`. If the operators have to run one by one, does
// nothing and returns false.
bool run_fused(const FusedGroup& group, const Value* const* arguments, Values& results);

// Returns the step of one instruction and stores its arguments in `operands`. Returns nothing if the operator cannot be
// part of a group.
std::optional<FusedStep> lowered(const Program::Body::Instruction& instruction,
                                 std::vector<Program::Body::Argument>& operands);
// Returns true if the operator has a step for at least some arguments.
bool has_step(const Program::Body::Instruction& instruction);

}  // namespace flambeau::program
