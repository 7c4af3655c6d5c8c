#define FLAMBEAU_FAMILY arithmetic
#include "kernels/pointwise/pointwise_family.h"
