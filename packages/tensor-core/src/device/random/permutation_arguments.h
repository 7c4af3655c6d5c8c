// Arguments of the kernels of permutations. Host and device code include this file.
#pragma once

#include <cstdint>

namespace flambeau::cuda {

struct PermutationArguments {
  const uint32_t *places, *steps;  // which step exchanges with which place, by places and then by steps
  uint32_t* brought;               // zeros to begin with
  int64_t* out;
  int64_t count;
};

}  // namespace flambeau::cuda
