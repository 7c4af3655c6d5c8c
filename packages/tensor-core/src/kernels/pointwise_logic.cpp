#define FLAMBEAU_FAMILY logic
#include "kernels/pointwise_family.h"
