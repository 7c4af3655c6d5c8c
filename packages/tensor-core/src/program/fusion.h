// Groups of operators that run as one.
//
// Note [Fusion]
// A program is optimised when it is read. Neighbouring pointwise operators and functions of rows (softmax, layer_norm,
// sums over the last dimensions) become a group, which runs as one chain (Note [Chains]) if all of its tensors are on
// the CPU and have one floating dtype. On a GPU, a group of pointwise operators runs as generated kernels
// (gpu_chain.h). If a tensor needs a gradient, this applies to groups of pointwise operators only, whose backward pass
// is a chain as well (Note [Derivatives of groups]). Otherwise the group runs its operators one by one, so results,
// gradients and errors are those of the operators. A group does not depend on shapes, so one program serves all sizes.
// It caches a plan for each of the last few layouts of its arguments (group_plan.h).
//
// `lowered` returns the step that computes an operator. An operator without a step runs separately. The environment
// variable FLAMBEAU_FUSION=0 disables fusion for programs that are read afterwards.
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
  // Pointwise: a pointwise row. Channels: batch_norm with running statistics; its operands are input, weight, bias,
  // mean and variance. Rows: a function of the last dimensions; its operands are the input and, for the normalisations,
  // weight and bias.
  enum Kind : uint8_t { Pointwise, Channels, Rows } kind = Pointwise;
  PointwiseOp row = {};
  // For Pointwise: the operand of the row whose derivative the step computes, from the gradient of the result and the
  // values that the derivative reads; -1 if the step computes the row itself.
  int derivative = -1;
  bool fills = false;         // true if `where` computes masked_fill, whose value has to fit the dtype
  int written = -1;           // in-place operator: the operand that it overwrites, whose shape the result must have
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

// The plans for the latest layouts of a group's arguments. A copy starts empty.
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

// The derivatives of a group for the latest sets of arguments that needed gradients. A copy starts empty.
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
  std::vector<bool> is_read_elsewhere;  // true for each argument that something outside of the group may read
  std::vector<FusedStep> steps;
  std::vector<int> outputs;                              // steps whose results the rest of the program reads
  std::vector<Program::Body::Instruction> instructions;  // the instructions that the group replaces
  bool can_record = false;  // false if an in-place operator may overwrite what a backward pass reads
  mutable PlanCache plans;
  mutable DerivativeCache derivatives;
};

// Runs the group as one chain and appends its outputs to `results`. Returns false, and does nothing, if its operators
// have to run one by one.
bool run_fused(const FusedGroup& group, const Value* const* arguments, Values& results);

// Returns the step of one instruction and stores its arguments in `operands`; nothing if the operator cannot be part of
// a group.
std::optional<FusedStep> lowered(const Program::Body::Instruction& instruction,
                                 std::vector<Program::Body::Argument>& operands);
// Returns true if the operator has a step for some arguments.
bool has_step(const Program::Body::Instruction& instruction);

}  // namespace flambeau::program
