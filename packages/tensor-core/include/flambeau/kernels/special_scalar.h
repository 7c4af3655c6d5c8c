// Special functions that are scalar code in double, and their float32 versions.
#pragma once

#include "flambeau/kernels/math/gamma.h"
#include "flambeau/kernels/math/orthogonal.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

FLAMBEAU_BY_DOUBLE(special_airy_ai)

}  // namespace flambeau::kernels::FLAMBEAU_ISA
