// Fast approximate exponentials, computed by the GPU's special-function units.
#pragma once

#include <bit>

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

// Returns exp(x) for x <= 0 with an error of a few units in the last place, and 0 if the result would be subnormal.
inline float quick_exp(float x) {
  constexpr float kBias = 12582912 + 127;  // a number of this size is rounded to an integer, in the last bits
  constexpr float kLog2E = 1.44269502f, kRest = 1.92596303e-8f;
  const float shifted = fmaf(x, kLog2E, kBias), clamped = shifted > 12582912 ? shifted : 12582912;
  const float power = std::bit_cast<float>(std::bit_cast<uint32_t>(clamped) << 23), whole = clamped - kBias;
  return quick_exp2(fmaf(x, kRest, fmaf(x, kLog2E, -whole))) * power;
}

}  // namespace flambeau::cuda
