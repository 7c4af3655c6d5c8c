// Copies between any two layouts.
#pragma once

#include "flambeau/tensor.h"

namespace flambeau {

// Computes to[...] = from[...], where `from` is broadcast and converted. The tensors share no memory.
void copy_strided(const Tensor& to, const Tensor& from);

}  // namespace flambeau
