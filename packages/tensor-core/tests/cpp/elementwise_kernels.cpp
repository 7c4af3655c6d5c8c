// Operators for elementwise_test.cpp, with functions that use all features of elementwise_kernels.h.
#include "flambeau/elementwise_kernels.h"

namespace test {

FLAMBEAU_ELEMENTWISE(squares, [](auto x) { return x * x; })
FLAMBEAU_ELEMENTWISE(snake, [](auto x, auto frequency) {
  const auto s = sin(x * frequency);
  return x + s * s / frequency;
})
FLAMBEAU_ELEMENTWISE(log_gamma_ratio, [](auto x, auto y) { return lgamma(x) - lgamma(y); })
FLAMBEAU_ELEMENTWISE(growth, [](auto x) { return exp(x) - 1; })
FLAMBEAU_ELEMENTWISE(limited, [](auto x, auto low, auto high) {
  const auto outside = (x < low) | (x > high);
  return where(outside & !isnan(x), 0.5, maximum(x, 1) + where(x == low, high, -x));
})
FLAMBEAU_ELEMENTWISE(sum_of_five,
                     [](auto a, auto b, auto c, auto d, auto e) { return a + 2 * b + 3 * c + 4 * d + 5 * e; })

}  // namespace test
