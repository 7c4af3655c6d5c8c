// Kernels of special functions by series, recurrences and cases: compiled once, in double for both types.
#include "flambeau/kernels/special_scalar.h"

#include "kernels/pointwise_loops.h"

#define FLAMBEAU_FAMILY "flambeau/rows/special_scalar.def"
#define FLAMBEAU_FILL fill_special_scalar
#include "kernels/pointwise_family.h"
