// Arguments of the kernels of sequences. Host and device code include this file.
#pragma once

#include <cstdint>

#include "flambeau/macros.h"

namespace flambeau::cuda {

// first + i * step below `half`, counted back from the last beyond.
struct Line {
  double first, step, half, last, end;

  static double plus_product(double a, double b, double c) {  // rounded twice on every device
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
  Line line;
  int64_t first, step;
  bool whole;  // first and step as integers
};

}  // namespace flambeau::cuda
