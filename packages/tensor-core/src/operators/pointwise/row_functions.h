// Functions of rows, such as softmax, as steps of a chain. Note [Chains].
#pragma once

#include <cstdint>

#include "kernels/reduction_numbers.h"

namespace flambeau {

enum class RowFunction : uint8_t { Softmax, LogSoftmax, LayerNorm, RmsNorm, Reduction, Mean };

// Returns true if the function has one result for each row.
constexpr bool is_reduction(RowFunction f) { return f >= RowFunction::Reduction; }

struct RowStep {
  RowFunction function = {};
  kernels::Reduce reduction = {};  // for Reduction
  double eps = 0;                  // for the normalisations
  bool together = false;           // normalise several rows at a time, as the operator does for many short rows
  int weight = -1, bias = -1;      // for the normalisations: indices into ChainMemory::weights, or -1

  bool operator==(const RowStep&) const = default;
};

// Computes a function of `rows` rows with `length` float32 or float64 elements each. The results are equal to the
// results of the operator. `weight` and `bias` may be null.
void run_row_function(const RowStep& step, Dtype dtype, char* out, const char* in, const char* weight, const char* bias,
                      int64_t rows, int64_t length);

}  // namespace flambeau
