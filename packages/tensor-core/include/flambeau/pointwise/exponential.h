// The pointwise operators of exponential.def as C++ functions of tensors.
#pragma once

#define FLAMBEAU_FAMILY exponential
#include "flambeau/pointwise_functions.h"
