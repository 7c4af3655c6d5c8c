// Kernels of the rows of arithmetic.
#include "kernels/pointwise_loops.h"

#define FLAMBEAU_FAMILY "flambeau/rows/arithmetic.def"
#define FLAMBEAU_FILL fill_arithmetic
#include "kernels/pointwise_family.h"
