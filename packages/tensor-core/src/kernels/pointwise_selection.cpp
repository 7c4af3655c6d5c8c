#define FLAMBEAU_FAMILY selection
#include "kernels/pointwise_family.h"
