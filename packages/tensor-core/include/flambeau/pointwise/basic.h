// The pointwise operators of basic.def as C++ functions of tensors.
#pragma once

#define FLAMBEAU_FAMILY basic
#include "flambeau/pointwise_functions.h"
