#define FLAMBEAU_FAMILY logic
#include "kernels/pointwise/pointwise_family.h"
