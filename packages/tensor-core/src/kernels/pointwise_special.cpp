// Kernels of the special functions without branches.
#include "kernels/math/bessel.h"
#include "kernels/math/digamma.h"
#include "kernels/math/log_gamma.h"
#include "kernels/math/oscillating_bessel.h"
#include "kernels/pointwise_loops.h"

#define FLAMBEAU_FAMILY "flambeau/rows/special.def"
#define FLAMBEAU_FILL fill_special
#include "kernels/pointwise_family.h"
