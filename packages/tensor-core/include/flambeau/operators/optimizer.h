// Steps of optimizers: one call, one pass over each parameter's memory. Note [Optimizer rules]
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "flambeau/kernels/optimizer_rule.h"
#include "flambeau/tensor.h"

namespace flambeau {

struct OptimizerTarget {                                       // tensors of one parameter in a step
  Tensor parameter, gradient, states[OptimizerRule::kStates];  // undefined if the rule does not need them
  Tensor number, scalars[OptimizerRule::kScalars];             // tensors of one element
  bool new_states = false;
};

FLAMBEAU_API const OptimizerRule* optimizer_rule(std::string_view name);  // null if it does not exist
// Updates all targets, or raises an error and changes no target.
FLAMBEAU_API void optimizer_step(const OptimizerRule& rule, const double* options,
                                 const std::vector<OptimizerTarget>& targets);
// Multiplies gradients in place. Returns true if all of their elements were finite.
FLAMBEAU_API bool scale_gradients(const std::vector<Tensor>& gradients, double factor);

}  // namespace flambeau
