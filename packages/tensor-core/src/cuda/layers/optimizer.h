// Optimizer steps on a GPU.
#pragma once

#include <vector>

#include "flambeau/kernels/optimizer_rule.h"
#include "flambeau/tensor.h"

namespace flambeau::cuda {

struct OptimizerWork {
  // The parameter, its gradient and its states, which are contiguous real tensors of one dtype.
  Tensor at[2 + OptimizerRule::kStates];
  double coefficients[OptimizerRule::kCoefficients];
};
// Updates parameters in the given order. Consecutive parameters with the same coefficients, dtype and device share a
// launch.
void optimizer_step(const OptimizerRule& rule, const std::vector<OptimizerWork>& work);
// Multiplies contiguous real tensors by `factor`. Waits for the GPU, and returns true if all elements were finite.
bool scale(const std::vector<Tensor>& tensors, double factor);

}  // namespace flambeau::cuda
