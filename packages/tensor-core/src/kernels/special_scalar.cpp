// Kernels of the special functions that no instruction set makes faster: compiled once, in double for both types.
#include "kernels/math/gamma.h"
#include "kernels/math/orthogonal.h"
#include "kernels/pointwise_loops.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

#define FLAMBEAU_OF_TWO(name)                                                        \
  inline float name(float x, float y) {                                              \
    return static_cast<float>(name(static_cast<double>(x), static_cast<double>(y))); \
  }
FLAMBEAU_BY_DOUBLE(special_airy_ai)
FLAMBEAU_OF_TWO(_polygamma)
FLAMBEAU_OF_TWO(special_zeta)
FLAMBEAU_OF_TWO(special_chebyshev_polynomial_t)
FLAMBEAU_OF_TWO(special_chebyshev_polynomial_u)
FLAMBEAU_OF_TWO(special_chebyshev_polynomial_v)
FLAMBEAU_OF_TWO(special_chebyshev_polynomial_w)
FLAMBEAU_OF_TWO(special_hermite_polynomial_h)
FLAMBEAU_OF_TWO(special_hermite_polynomial_he)
FLAMBEAU_OF_TWO(special_laguerre_polynomial_l)
FLAMBEAU_OF_TWO(special_legendre_polynomial_p)

}  // namespace flambeau::kernels::FLAMBEAU_ISA

#define FLAMBEAU_FAMILY "flambeau/rows/special_scalar.def"
#define FLAMBEAU_FILL fill_special_scalar
#include "kernels/pointwise_family.h"
