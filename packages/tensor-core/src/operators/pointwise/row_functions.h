// Functions of rows, as steps of a chain. Note [Chains]. Internal.
#pragma once

#include <cstdint>

#include "kernels/reduction_numbers.h"

namespace flambeau {

enum class RowFunction : uint8_t { Softmax, LogSoftmax, LayerNorm, RmsNorm, Reduction, Mean };

// Returns true for a function with one result per row.
constexpr bool is_reduction(RowFunction f) { return f >= RowFunction::Reduction; }

struct RowStep {
  RowFunction function = {};
  kernels::Reduce reduction = {};  // for Reduction
  double eps = 0;                  // for the normalisations
  bool together = false;           // normalises several rows at a time, as the operator does for many short rows
  int weight = -1, bias = -1;      // for the normalisations: indices of the chain's weights

  bool operator==(const RowStep&) const = default;
};

// Computes `rows` rows of `length` elements of float32 or float64, with the same results as the operator. weight and
// bias may be null.
void run_row_function(const RowStep& step, Dtype dtype, char* out, const char* in, const char* weight, const char* bias,
                      int64_t rows, int64_t length);

}  // namespace flambeau
