// Kernels of the rows of logic.
#include "kernels/pointwise_loops.h"

#define FLAMBEAU_FAMILY "flambeau/rows/logic.def"
#define FLAMBEAU_FILL fill_logic
#include "kernels/pointwise_family.h"
