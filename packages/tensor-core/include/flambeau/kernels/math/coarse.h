// Exponentials for results that are rounded to half precision, for arguments in the middle of the domain. Their
// relative errors are below 2**-17: half a unit in the last place of float16 is at least 2**-12.
#pragma once

#include "flambeau/kernels/math/exponential.h"
#include "flambeau/kernels/math/logistic.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// Computes e**x for |x| < kUsualExp<float>. The polynomial minimises the relative error of e**x - 1, which is at most
// 2**-16, so that small differences from 1 also keep the precision of float16.
FLAMBEAU_INLINE float coarse_exp(float x) {
  constexpr float p[] = {9.61811002e-3f, 5.58372885e-2f, 2.40232527e-1f, 6.93136871e-1f, 1.0f};
  const float power = x * kLog2E<float>, shifted = power + kExponentShifter<float>;
  return horner(power - (shifted - kExponentShifter<float>), p) * from_exponent(shifted);
}
FLAMBEAU_INLINE float coarse_sigmoid(float x) { return sigmoid_by(x, coarse_exp(-std::fabs(x))); }

}  // namespace flambeau::kernels::FLAMBEAU_ISA
