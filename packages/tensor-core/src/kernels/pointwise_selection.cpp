// Kernels of the rows of selection.
#include "kernels/pointwise_loops.h"

#define FLAMBEAU_FAMILY "flambeau/rows/selection.def"
#define FLAMBEAU_FILL fill_selection
#include "kernels/pointwise_family.h"
