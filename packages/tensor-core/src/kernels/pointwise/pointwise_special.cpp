// Kernels of special functions that are computed without branches.
#define FLAMBEAU_FAMILY special
#include "flambeau/kernels/math/bessel.h"
#include "flambeau/kernels/math/digamma.h"
#include "flambeau/kernels/math/log_gamma.h"
#include "flambeau/kernels/math/oscillating_bessel.h"
#include "kernels/pointwise/pointwise_family.h"
