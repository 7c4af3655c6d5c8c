// Conversions between 16-bit floating-point types and float32 with GPU instructions. They replace the integer
// arithmetic of element.h.
#pragma once

#include "flambeau/element.h"

namespace flambeau {

#if defined(__CUDA_ARCH__) && !defined(FLAMBEAU_EMULATED)
template <>
inline float convert<float, float16>(float16 v) {
  float out;
  asm("cvt.f32.f16 %0, %1;" : "=f"(out) : "h"(v.bits));
  return out;
}
template <>
inline float16 convert<float16, float>(float v) {
  float16 out;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(out.bits) : "f"(v));
  return out;
}
#if __CUDA_ARCH__ >= 800
template <>
inline bfloat16 convert<bfloat16, float>(float v) {
  bfloat16 out;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(out.bits) : "f"(v));
  return out;
}
#endif
#endif

}  // namespace flambeau
