// Arguments of the kernels of optimizers, which process many tensors at once. Host and device code include this file.
#pragma once

#include <cstdint>

namespace flambeau::cuda {

inline constexpr int kOptimizerTensors = 5;  // a parameter, its gradient and up to three states
inline constexpr int kOptimizerTargets = 64;
inline constexpr int64_t kOptimizerBlock = 4096;  // elements per block

struct OptimizerTargets {
  int count;
  struct Target {
    char* at[kOptimizerTensors];  // null if the rule does not use the tensor
    int64_t size;
  } targets[kOptimizerTargets];
  uint32_t first_block[kOptimizerTargets];
};

struct OptimizerArguments {
  OptimizerTargets list;
  double coefficients[10];
};
static_assert(sizeof(OptimizerArguments) <= 4096, "what every driver takes as arguments");

// Multiplies the tensor at[0] of each target by `factor`.
struct ScaleArguments {
  OptimizerTargets list;
  double factor;
  int* infinite;  // set to 1 if any element is not finite
};

}  // namespace flambeau::cuda
