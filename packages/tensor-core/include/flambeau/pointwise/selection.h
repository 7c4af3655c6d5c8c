// The pointwise operators of selection.def as C++ functions of tensors.
#pragma once

#define FLAMBEAU_FAMILY selection
#include "flambeau/pointwise_functions.h"
