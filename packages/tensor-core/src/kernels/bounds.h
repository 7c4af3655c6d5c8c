// A function that limits results in registers to an interval.
#pragma once

#include "flambeau/kernels/simd.h"
#include "kernels/layers/networks.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// Limits a number, or each element of a vector, to the interval [lowest, highest]. NaN stays NaN.
template <class V, class T>
V bounded(V x, T lowest, T highest) {
  const V low = V{} + lowest, high = V{} + highest;
  x = low > x ? low : x;
  return high < x ? high : x;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
