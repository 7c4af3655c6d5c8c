// Functions of the autograd package for gradients of leaves, which programs of training steps also call.
#pragma once

#include <vector>

#include "flambeau/autograd.h"

namespace flambeau {

struct TrainingHooks {
  // Like Tensor.backward(). `gradient` may be undefined, and `inputs` null.
  void (*backward)(const Tensor& t, const Tensor& gradient, bool keep_graph, bool create_graph,
                   const std::vector<Tensor>* inputs);
  // Returns true if the leaf has a hook that runs after accumulation. Such a hook may replace the gradient.
  bool (*has_accumulation_hooks)(const Tensor& leaf);
  // Called for a tensor whose assigned .grad has a graph or a .grad itself. Note [Cycles of gradients]
  void (*suspect_cycle)(const Tensor& leaf);
};

FLAMBEAU_API extern const TrainingHooks* training_hooks;  // null until the autograd package is loaded

// Assigns a gradient, or clears it if `gradient` is undefined. Raises an error for another shape or dtype.
FLAMBEAU_API void assign_gradient(const Tensor& t, const Tensor& gradient);

}  // namespace flambeau
