// Calling the hooks of tensors and nodes: what one returns takes the place of what it was given. Internal to the
// engine.
#pragma once

#include "node.h"

namespace flambeau::autograd {

void call_tensor_hooks(Node& node, Gradients& gradients);
void call_prehooks(Node& node, Gradients& gradients);
void call_posthooks(const NodeHooks& hooks, Tensor* results, size_t n, const Tensor* gradients, size_t count);

}  // namespace flambeau::autograd
