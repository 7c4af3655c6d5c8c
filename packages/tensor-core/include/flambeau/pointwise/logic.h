// The pointwise operators of logic.def as C++ functions of tensors.
#pragma once

#define FLAMBEAU_FAMILY logic
#include "flambeau/pointwise_functions.h"
