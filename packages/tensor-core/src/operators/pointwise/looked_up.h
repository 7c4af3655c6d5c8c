// Lookup tables. An operand of one or two bytes has at most 65536 values. For many elements it is faster to compute the
// function once for each value and to look up the results. For slow functions, this also holds for wider integers in a
// small range.
#pragma once

#include "flambeau/pointwise.h"

namespace flambeau {

// Minimum number of elements for which run_looked_up() may be faster than run_kernel().
inline constexpr int64_t kMinElements = 2048;

// Does the same as run_kernel(), but with a lookup table, and returns true, if that is faster. Otherwise does nothing
// and returns false. Results do not depend on the number of threads.
bool run_looked_up(PointwiseOp op, PointwiseKernel kernel, const Tensor& output, Dtype from, const Operand* operands,
                   int count, Dtype in);

}  // namespace flambeau
