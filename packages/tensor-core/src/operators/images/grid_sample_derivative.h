// Internal to the sampling of images.
#pragma once

#include "flambeau/operators/networks.h"

namespace flambeau {

// The gradients of an image and of points, as values and indices; undefined where they are not asked for.
TensorPair grid_sample_gradients_with_history(const Tensor& grad, const Tensor& image, const Tensor& grid,
                                              const GridSampling& options, bool of_image, bool of_points);

}  // namespace flambeau
