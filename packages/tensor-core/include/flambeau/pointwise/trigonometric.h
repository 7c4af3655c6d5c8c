// The pointwise operators of trigonometric.def as C++ functions of tensors.
#pragma once

#define FLAMBEAU_FAMILY trigonometric
#include "flambeau/pointwise_functions.h"
