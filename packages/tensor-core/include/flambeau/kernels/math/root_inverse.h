// 1 / sqrt(x) by multiplications. A square root in float64, or a reciprocal square root in float32, takes as long as
// twenty multiplications.
#pragma once

#include "flambeau/kernels/math/bits.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// root_inverse() is for numbers in the middle of the range of V. The bits of x give an initial guess with an error of
// 3.5 %, and each step triples the number of correct digits. Two steps leave an error of 3e-12.
template <int Steps, class V>
FLAMBEAU_INLINE V nearer_root_inverse(V x, V y) {
  if constexpr (Steps == 0) {
    return y;
  } else {
    const V lacks = V(1) - x * y * y;
    return nearer_root_inverse<Steps - 1>(x, y + y * lacks * (V(0.5) + V(0.375) * lacks));
  }
}
template <int Steps>
FLAMBEAU_INLINE float root_inverse(float x) {
  return nearer_root_inverse<Steps>(x, bit_cast<float>(0x5F375A86u - (bit_cast<uint32_t>(x) >> 1)));
}
template <int Steps>
FLAMBEAU_INLINE double root_inverse(double x) {
  return nearer_root_inverse<Steps>(x, bit_cast<double>(0x5FE6EB50C7B537A9ull - (bit_cast<uint64_t>(x) >> 1)));
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
