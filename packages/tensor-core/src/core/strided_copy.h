// Copies between any two layouts.
#pragma once

#include "flambeau/tensor.h"

namespace flambeau {

// to[...] = from[...], `from` broadcast and converted; they share no memory.
void copy_strided(const Tensor& to, const Tensor& from);

}  // namespace flambeau
