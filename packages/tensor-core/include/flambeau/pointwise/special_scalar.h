// The pointwise operators of special_scalar.def as C++ functions of tensors.
#pragma once

#define FLAMBEAU_FAMILY special_scalar
#include "flambeau/pointwise_functions.h"
