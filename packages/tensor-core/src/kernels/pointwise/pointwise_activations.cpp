#define FLAMBEAU_FAMILY activations
#include "kernels/pointwise/pointwise_family.h"
