#define FLAMBEAU_FAMILY trigonometric
#include "kernels/pointwise/pointwise_family.h"
