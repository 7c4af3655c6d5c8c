#define FLAMBEAU_FAMILY basic
#include "kernels/pointwise/pointwise_family.h"
