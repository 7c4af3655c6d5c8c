#define FLAMBEAU_FAMILY losses
#include "kernels/pointwise/pointwise_family.h"
