#define FLAMBEAU_FAMILY elementary
#include "kernels/pointwise/pointwise_family.h"
