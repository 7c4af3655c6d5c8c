// What the kernels of permutations are told; both sides include this.
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
