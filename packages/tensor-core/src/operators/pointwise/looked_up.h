// Lookup tables. Functions of one operand of one or two bytes have few values, so that many elements share a table. For
// slow functions this also pays for wider integers that are in a small range.
#pragma once

#include "flambeau/pointwise.h"

namespace flambeau {

// Number of elements from which run_looked_up may be faster than run_kernel.
inline constexpr int64_t kLookedUp = 2048;

// Does the same as run_kernel by a table of the values, if that is faster. Returns true if it did. The values do not
// depend on the number of threads.
bool run_looked_up(PointwiseOp op, PointwiseKernel kernel, const Tensor& output, Dtype from, const Operand* operands,
                   int count, Dtype in);

}  // namespace flambeau
