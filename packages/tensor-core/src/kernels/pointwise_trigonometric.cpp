#define FLAMBEAU_FAMILY trigonometric
#include "kernels/pointwise_family.h"
