#define FLAMBEAU_FAMILY exponential
#include "kernels/pointwise_family.h"
