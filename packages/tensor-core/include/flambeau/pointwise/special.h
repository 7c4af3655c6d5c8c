// The pointwise operators of special.def as C++ functions of tensors.
#pragma once

#define FLAMBEAU_FAMILY special
#include "flambeau/pointwise_functions.h"
