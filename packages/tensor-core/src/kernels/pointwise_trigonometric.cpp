// Kernels of the rows of trigonometric.
#include "kernels/pointwise_loops.h"

#define FLAMBEAU_FAMILY "flambeau/rows/trigonometric.def"
#define FLAMBEAU_FILL fill_trigonometric
#include "kernels/pointwise_family.h"
