// Kernels of the rows of exponential.
#include "kernels/pointwise_loops.h"

#define FLAMBEAU_FAMILY "flambeau/rows/exponential.def"
#define FLAMBEAU_FILL fill_exponential
#include "kernels/pointwise_family.h"
