// 1 / sqrt(x) by multiplications: processors take as long for a root in float64, or the inverse of one in float32, as
// for twenty of them.
#pragma once

#include "flambeau/kernels/math/bits.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// Of numbers in the middle of the range: from a guess by the exponent, which is off by 3.5 %, each step triples the
// digits. Two leave 3e-12.
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
