#define FLAMBEAU_FAMILY arithmetic
#include "kernels/pointwise_family.h"
