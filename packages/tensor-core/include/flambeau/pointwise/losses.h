// The pointwise operators of losses.def as C++ functions of tensors.
#pragma once

#define FLAMBEAU_FAMILY losses
#include "flambeau/pointwise_functions.h"
