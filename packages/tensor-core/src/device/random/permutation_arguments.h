// Arguments of the kernels of permutations. Host and device code include this file.
#pragma once

#include <cstdint>

namespace flambeau::cuda {

struct PermutationArguments {
  // For each step, the position that it exchanges with, and the step itself. Sorted by position and then by step.
  const uint32_t *partners, *steps;
  uint32_t* moving_step;  // initially zero
  int64_t* out;
  int64_t count;
};

}  // namespace flambeau::cuda
