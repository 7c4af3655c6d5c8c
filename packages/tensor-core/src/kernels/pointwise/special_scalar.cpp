// Kernels of special functions computed by series, recurrences and case distinctions. They are compiled once, in
// double, for both floating-point types.
#define FLAMBEAU_FAMILY special_scalar
#include "flambeau/kernels/special_scalar.h"
#include "kernels/pointwise/pointwise_family.h"
