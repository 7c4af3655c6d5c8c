// Arguments of the kernels of optimizers, which process many tensors at once. Host and device code include this file.
#pragma once

#include <cstdint>

namespace flambeau::cuda {

inline constexpr int kOptimizerTensors = 5;  // a parameter, its gradient, its states
inline constexpr int kOptimizerTargets = 64;
inline constexpr int64_t kOptimizerBlock = 4096;  // elements of a block

struct OptimizerTargets {
  int count;
  struct Target {
    char* at[kOptimizerTensors];  // null: the rule has none
    int64_t size;
  } targets[kOptimizerTargets];
  uint32_t first_block[kOptimizerTargets];
};

struct OptimizerArguments {
  OptimizerTargets list;
  double coefficients[10];
};
static_assert(sizeof(OptimizerArguments) <= 4096, "what every driver takes as arguments");

struct ScaleArguments {  // at[0] of each target is multiplied
  OptimizerTargets list;
  double factor;
  int* infinite;  // set to 1 where an element was not finite
};

}  // namespace flambeau::cuda
