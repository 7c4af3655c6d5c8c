// Arguments of the kernels of losses. Host and device code include this file.
#pragma once

#include <cstdint>

#include "device/elementwise/pointwise_arguments.h"
#include "device/threads/report.h"

namespace flambeau::cuda {

inline constexpr int kLossElements = 2048;  // scores that a block processes

struct LossArguments {
  int64_t batch, classes, inner, ignored;
  Divider sample;  // classes * inner, the number of scores of a sample, if it is less than kLossElements
  const int64_t* labels;
  const char *scores, *logarithms, *weight, *factors;  // weight: one value per class, or null
  char *out, *weights;
  Reporter reporter;
};

}  // namespace flambeau::cuda
