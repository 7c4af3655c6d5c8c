// Exponentials by the units for special functions.
#pragma once

#include "device/elementwise/halves.h"

namespace flambeau::cuda {

#ifdef FLAMBEAU_EMULATED
inline float quick_exp2(float x) { return exp2f(x); }
#else
// 2**x to within a few units in the last place; 0 where that is no normal number.
inline float quick_exp2(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}
#endif

}  // namespace flambeau::cuda
