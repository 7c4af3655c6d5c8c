// Functions of one operand of one or two bytes have few values, which many elements look up; slow ones also where the
// elements of a wider integer type are among few numbers.
#pragma once

#include "flambeau/pointwise.h"

namespace flambeau {

// Elements from which on run_looked_up may be quicker than run_kernel.
inline constexpr int64_t kLookedUp = 2048;

// Does what run_kernel would, if that is quicker by a table of the values; whether it was. The values do not depend on
// the number of threads.
bool run_looked_up(PointwiseOp op, PointwiseKernel kernel, const Tensor& output, Dtype from, const Operand* operands,
                   int count, Dtype in);

}  // namespace flambeau
