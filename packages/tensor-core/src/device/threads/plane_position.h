// Converts the linear index of an element to its plane and its coordinates in three dimensions.
#pragma once

#include "device/elementwise/pointwise_arguments.h"

namespace flambeau::cuda {

struct PlanePosition {
  int64_t plane, at[3];
};

// Returns n / by. Faster if n < 2**31.
inline int64_t divide(int64_t n, const Divider& by) {
  return n < (int64_t(1) << 31) ? int64_t(by.quotient(uint32_t(n))) : n / by.divisor;
}

inline PlanePosition plane_position(int64_t n, const Divider (&sizes)[3]) {
  PlanePosition p;
  if (n < (int64_t(1) << 31)) {
    uint32_t left = uint32_t(n);
#pragma unroll
    for (int d = 2; d >= 0; --d) {
      const uint32_t rest = sizes[d].quotient(left);
      p.at[d] = left - rest * sizes[d].divisor;
      left = rest;
    }
    p.plane = left;
    return p;
  }
#pragma unroll
  for (int d = 2; d >= 0; --d) {
    const int64_t rest = n / sizes[d].divisor;
    p.at[d] = n - rest * sizes[d].divisor;
    n = rest;
  }
  p.plane = n;
  return p;
}

}  // namespace flambeau::cuda
