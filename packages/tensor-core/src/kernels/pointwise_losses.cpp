#define FLAMBEAU_FAMILY losses
#include "kernels/pointwise_family.h"
