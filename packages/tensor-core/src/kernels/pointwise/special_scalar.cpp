// Kernels of special functions by series, recurrences and cases: compiled once, in double for both types.
#define FLAMBEAU_FAMILY special_scalar
#include "flambeau/kernels/special_scalar.h"
#include "kernels/pointwise/pointwise_family.h"
