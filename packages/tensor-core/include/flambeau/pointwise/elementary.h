// The pointwise operators of elementary.def as C++ functions of tensors.
#pragma once

#define FLAMBEAU_FAMILY elementary
#include "flambeau/pointwise_functions.h"
