// Second derivatives of grid_sample.
#pragma once

#include "flambeau/operators/networks.h"

namespace flambeau {

// Returns the gradients of the image and of the grid, which are recorded. They are undefined if not requested.
TensorPair grid_sample_gradients_with_history(const Tensor& grad, const Tensor& image, const Tensor& grid,
                                              const GridSampling& options, bool of_image, bool of_points);

}  // namespace flambeau
