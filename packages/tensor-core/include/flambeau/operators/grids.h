// Tensors on grids: coordinates, combinations, block-diagonal matrices and rotations (operators/arrangement/grids.cpp).
#pragma once

#include "flambeau/operators.h"

namespace flambeau {

// Returns views of vectors as the coordinates of their grid. `swapped` exchanges the first two dimensions.
FLAMBEAU_API Tensors meshgrid(const Tensors& vectors, bool swapped);
FLAMBEAU_API Tensor cartesian_prod(const Tensors& vectors);
FLAMBEAU_API Tensor combinations(const Tensor& input, int64_t r, bool with_replacement);
FLAMBEAU_API Tensor block_diag(const Tensors& blocks);
FLAMBEAU_API Tensor rot90(const Tensor& input, int64_t k, const Shape& dims);
// Moves the zero frequency to the middle of the dimensions, or with `back` to the beginning.
FLAMBEAU_API Tensor shift_frequencies(const Tensor& input, const OptionalDims& dims, bool back);

}  // namespace flambeau
