#define FLAMBEAU_FAMILY basic
#include "kernels/pointwise_family.h"
