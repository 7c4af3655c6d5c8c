#define FLAMBEAU_FAMILY elementary
#include "kernels/pointwise_family.h"
