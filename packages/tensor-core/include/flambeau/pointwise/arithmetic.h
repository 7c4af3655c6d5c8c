// The pointwise operators of arithmetic.def as C++ functions of tensors.
#pragma once

#define FLAMBEAU_FAMILY arithmetic
#include "flambeau/pointwise_functions.h"
