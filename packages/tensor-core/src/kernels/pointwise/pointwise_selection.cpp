#define FLAMBEAU_FAMILY selection
#include "kernels/pointwise/pointwise_family.h"
