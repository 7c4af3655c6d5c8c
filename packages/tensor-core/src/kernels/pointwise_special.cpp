// Kernels of the special functions without branches.
#include "flambeau/kernels/math/bessel.h"
#include "flambeau/kernels/math/digamma.h"
#include "flambeau/kernels/math/log_gamma.h"
#include "flambeau/kernels/math/oscillating_bessel.h"
#include "kernels/pointwise_loops.h"

#define FLAMBEAU_FAMILY "flambeau/rows/special.def"
#define FLAMBEAU_FILL fill_special
#include "kernels/pointwise_family.h"
