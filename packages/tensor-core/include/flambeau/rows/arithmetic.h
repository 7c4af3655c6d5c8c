// The pointwise operators of arithmetic.def as C++ functions of tensors.
#pragma once

#define FLAMBEAU_FAMILY arithmetic
#include "flambeau/row_functions.h"
