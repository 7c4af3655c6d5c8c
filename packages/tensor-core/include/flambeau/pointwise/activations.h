// The pointwise operators of activations.def as C++ functions of tensors.
#pragma once

#define FLAMBEAU_FAMILY activations
#include "flambeau/pointwise_functions.h"
