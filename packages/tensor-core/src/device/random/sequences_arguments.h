// Arguments of the kernels of sequences. Host and device code include this file.
#pragma once

#include <cstdint>

#include "flambeau/macros.h"

namespace flambeau::cuda {

// Element i is first + i * step for i < half, and last + (i - end) * step for i >= half, so that both ends are exact.
struct LinearSequence {
  double first, step, half, last, end;

  // Rounds the product and the sum separately, on the CPU and on the GPU.
  static double plus_product(double a, double b, double c) {
#ifdef FLAMBEAU_DEVICE
    return __dadd_rn(a, __dmul_rn(b, c));
#else
    return a + b * c;
#endif
  }
  double at(double i) const { return i < half ? plus_product(first, i, step) : plus_product(last, i - end, step); }
};

struct SequenceArguments {
  void* out;
  int64_t count;
  LinearSequence line;
  int64_t first, step;
  bool is_integer;  // true: use the integers `first` and `step` instead of `line`
};

}  // namespace flambeau::cuda
