// Kernels of the rows of losses.
#include "kernels/pointwise_loops.h"

#define FLAMBEAU_FAMILY "flambeau/rows/losses.def"
#define FLAMBEAU_FILL fill_losses
#include "kernels/pointwise_family.h"
