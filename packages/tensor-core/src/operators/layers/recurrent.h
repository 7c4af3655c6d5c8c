// Declarations shared by recurrent layers and their derivatives.
#pragma once

#include "flambeau/autograd.h"
#include "flambeau/operators/recurrent.h"
#include "tasks/recurrent.h"

namespace flambeau {

// Computes the derivative with differentiable operators (recurrent_derivative.cpp).
void differentiable_recurrent_backward(Cell cell, const RecurrentWalk& walk, const Context& context);

}  // namespace flambeau
