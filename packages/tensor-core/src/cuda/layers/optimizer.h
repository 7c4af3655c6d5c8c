// Steps of optimizers on a GPU.
#pragma once

#include <vector>

#include "flambeau/kernels/optimizer_rule.h"
#include "flambeau/tensor.h"

namespace flambeau::cuda {

struct OptimizerWork {
  // The parameter, its gradient and its states: contiguous real tensors of one dtype
  Tensor at[2 + OptimizerRule::kStates];
  double coefficients[OptimizerRule::kCoefficients];
};
// Updates parameters with the same coefficients and dtypes together, in their order.
void optimizer_step(const OptimizerRule& rule, const std::vector<OptimizerWork>& work);
// Multiplies contiguous real tensors. Returns true if all elements were finite, which waits for the GPU.
bool scale(const std::vector<Tensor>& tensors, double factor);

}  // namespace flambeau::cuda
