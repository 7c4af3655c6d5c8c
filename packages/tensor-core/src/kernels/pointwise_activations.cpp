#define FLAMBEAU_FAMILY activations
#include "kernels/pointwise_family.h"
