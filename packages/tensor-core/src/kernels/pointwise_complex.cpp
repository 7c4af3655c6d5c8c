// Kernels, for real numbers, of the rows that tell them from complex ones.
#include "kernels/pointwise_loops.h"

#define FLAMBEAU_FAMILY "flambeau/rows/complex.def"
#define FLAMBEAU_FILL fill_complex
#include "kernels/pointwise_family.h"
