// Tests for tensors that share memory.
#pragma once

#include "flambeau/tensor.h"

namespace flambeau {

// Returns true if both tensors have the same elements at the same positions.
bool same_elements(const Tensor& a, const Tensor& b);
// Returns false only if the tensors have no byte in common. This is detected for slices of a contiguous tensor with
// step 1, and in most cases if the strides divide each other. In all other cases it is detected only if one tensor ends
// before the other begins.
bool may_overlap(const Tensor& a, const Tensor& b);

}  // namespace flambeau
