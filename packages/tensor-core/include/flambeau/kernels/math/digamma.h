// The logarithmic derivative of the gamma function. Scalar code in double, with a rational approximation near its root,
// after Boost.Math (Maddock 2006).
#pragma once

#include "flambeau/kernels/math/trigonometric.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

FLAMBEAU_SCALAR double cot_pi(double x) {  // pi / tan(pi x), the angle reduced first
  return 3.141592653589793 / tan(3.141592653589793 * (x - std::rint(x)));
}
FLAMBEAU_SCALAR double digamma(double x) {
  if (x == 0) return std::copysign(INFINITY, -x);
  if (x == INFINITY) return x;
  if (x != x || x == -INFINITY || (x < 0 && x == std::floor(x))) return NAN;
  double result = 0;
  if (x < 0) {
    result = -cot_pi(x);
    x = 1 - x;
  }
  if (x < 10) {
    for (; x > 2; result += 1 / x) x -= 1;
    for (; x < 1; x += 1) result -= 1 / x;
    constexpr double p[] = {0.25479851061131551,  -0.32555031186804491,  -0.65031853770896507,
                            -0.28919126444774784, -0.045251321448739056, -0.0020713321167745952};
    constexpr double q[] = {1.0,
                            2.0767117023730469,
                            1.4606242909763515,
                            0.43593529692665969,
                            0.054151797245674225,
                            0.0021284987017821144,
                            -0.55789841321675513e-6};
    constexpr double kRoot[] = {1569415565.0 / 1073741824, 381566830.0 / 1073741824 / 1073741824,
                                0.9016312093258695918615325266959189453125e-19};
    const double g = ((x - kRoot[0]) - kRoot[1]) - kRoot[2];
    return result + (g * 0.99558162689208984375 + g * (polynomial(x - 1, p) / polynomial(x - 1, q)));
  }
  constexpr double p[] = {0.083333333333333333,  -0.0083333333333333333, 0.003968253968253968, -0.0041666666666666667,
                          0.0075757575757575758, -0.021092796092796093,  0.083333333333333333, -0.44325980392156863};
  x -= 1;
  const double z = 1 / (x * x);
  return result + (std::log(x) + 1 / (2 * x) - z * polynomial(z, p));
}

FLAMBEAU_BY_DOUBLE(digamma)

// The name under which operators of other families use digamma.
template <class V>
  requires std::is_floating_point_v<V>
FLAMBEAU_INLINE V lgamma_slope(V x) {
  return digamma(x);
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
