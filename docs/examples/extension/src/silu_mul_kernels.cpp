// The kernels: compiled once for each instruction set.
#include <flambeau/elementwise_kernels.h>

#include "silu_mul.h"

namespace kernel {
FLAMBEAU_ELEMENTWISE(silu_mul, [](auto x, auto y) { return x / (1 + exp(-x)) * y; })
FLAMBEAU_ELEMENTWISE(silu_mul_slope, slope)
}  // namespace kernel
