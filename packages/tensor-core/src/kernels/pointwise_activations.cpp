// Kernels of the rows of activations.
#include "kernels/pointwise_loops.h"

#define FLAMBEAU_FAMILY "flambeau/rows/activations.def"
#define FLAMBEAU_FILL fill_activations
#include "kernels/pointwise_family.h"
