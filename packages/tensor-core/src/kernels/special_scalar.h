// The special functions that are scalar code, in double, and their float32 forms.
#pragma once

#include "kernels/math/gamma.h"
#include "kernels/math/orthogonal.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

#define FLAMBEAU_OF_TWO(name)                                                        \
  inline float name(float x, float y) {                                              \
    return static_cast<float>(name(static_cast<double>(x), static_cast<double>(y))); \
  }
FLAMBEAU_BY_DOUBLE(special_airy_ai)
FLAMBEAU_OF_TWO(_polygamma)
#undef FLAMBEAU_OF_TWO

}  // namespace flambeau::kernels::FLAMBEAU_ISA
