// Groups of pointwise operators whose arguments need gradients.
//
// Note [Derivatives of groups]
// A group of pointwise operators is recorded as one node of the autograd graph, and its backward pass is one chain
// (Note [Chains]). The chain calls the same kernels as the derivatives of the operators. It recomputes intermediate
// values of the group instead of reading them from memory, if it can compute them from values that the operators would
// also save. The node saves nothing that the operators would not save. An intermediate value that the backward pass
// cannot recompute is an additional output of the node.
//
// If an operator of the group works in place, or a later in-place operator reads the arguments or results of the group,
// the operators run one by one. A node of a single operator checks only its own saved tensors, and only if its gradient
// is needed, so that the errors are the same as without fusion.
//
// If the backward pass is recorded (create_graph), or if its gradients have another dtype than the group, the steps run
// one by one as differentiable tensor expressions.
#pragma once

#include "program/fusion.h"

namespace flambeau::program {

class DifferentiatedGroup {
 public:
  using Arguments = const Value* const*;

  // needs: bit i is set if argument i needs a gradient.
  DifferentiatedGroup(const FusedGroup& group, uint64_t needs);

  // Returns false if the operators have to run one by one.
  bool is_supported() const { return is_supported_; }
  // Runs the group, records its derivative and appends its outputs to `results`. If the operators have to run one by
  // one, does nothing and returns false.
  static bool run(const std::shared_ptr<const DifferentiatedGroup>& self, Arguments arguments, Values& results);

 private:
  class Builder;
  struct Derivative;
  // An input of the node: an argument that needs a gradient. If other operators of the program may read the argument,
  // the node has one input for each step that reads it, so that the engine adds the gradients in the same order as
  // without fusion.
  struct Input {
    int argument;
    int step = -1;  // -1: all steps that read the argument
    size_t operand = 0;
    bool operator==(const Input&) const = default;
  };
  // The steps of the backward pass. The arguments are the arguments of the group, the saved results of its steps, and
  // the gradients of the node's outputs.
  struct Backward {
    uint64_t needs = 0, given = 0;  // needs: inputs that need a gradient; given: outputs that have one
    FusedGroup group;
    std::vector<std::pair<int, StepOperand>> gradients;  // indices of inputs, and the locations of their gradients
  };

  bool is_step(int value) const { return value >= int(forward_.arguments.size()); }
  int step_of(int value) const { return value - int(forward_.arguments.size()); }
  std::shared_ptr<const Backward> backward(uint64_t needs, uint64_t given) const;

  // Values are numbered: first the arguments, then the results of the steps.
  FusedGroup forward_;  // the group; the additional outputs follow its own outputs
  size_t results_ = 0;  // number of outputs of the group
  uint64_t needs_ = 0;  // arguments that need a gradient
  std::vector<Input> inputs_;
  std::vector<int> saved_;           // values that the node saves
  std::vector<int> differentiated_;  // indices of the outputs of forward_ that are outputs of the node
  bool is_supported_ = false;

  mutable std::mutex mutex_;  // see PlanCache
  mutable std::vector<std::shared_ptr<const Backward>> backwards_;
};

// Returns a number in which bit i is set if argument i needs a gradient, or 0 if nothing is recorded.
uint64_t needed_gradients(const FusedGroup& group, const Value* const* arguments);

// Like run_fused, for arguments that need gradients.
bool run_recorded(const FusedGroup& group, uint64_t needs, const Value* const* arguments, Values& results);

}  // namespace flambeau::program
