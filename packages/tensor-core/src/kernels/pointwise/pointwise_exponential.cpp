#define FLAMBEAU_FAMILY exponential
#include "kernels/pointwise/pointwise_family.h"
