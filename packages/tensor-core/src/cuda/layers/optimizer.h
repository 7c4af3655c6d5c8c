// Steps of optimizers on a GPU.
#pragma once

#include <vector>

#include "flambeau/kernels/optimizer_rule.h"
#include "flambeau/tensor.h"

namespace flambeau::cuda {

struct OptimizerWork {
  Tensor at[2 + OptimizerRule::kStates];  // the parameter, its gradient, its states; of one dtype, contiguous, real
  double coefficients[OptimizerRule::kCoefficients];
};
// Parameters whose coefficients and dtypes are the same are stepped together, in their order.
void optimizer_step(const OptimizerRule& rule, const std::vector<OptimizerWork>& work);
// Multiplies contiguous real tensors; whether all elements were finite, which waits for the GPU.
bool scale(const std::vector<Tensor>& tensors, double factor);

}  // namespace flambeau::cuda
