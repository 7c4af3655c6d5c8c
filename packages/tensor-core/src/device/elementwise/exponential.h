// Fast approximate exponentials, computed by the GPU's special-function units.
#pragma once

#include "device/elementwise/halves.h"

namespace flambeau::cuda {

#ifdef FLAMBEAU_EMULATED
inline float quick_exp2(float x) { return exp2f(x); }
#else
// Returns 2**x with an error of a few units in the last place, and 0 if the result would be subnormal.
inline float quick_exp2(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}
#endif

}  // namespace flambeau::cuda
