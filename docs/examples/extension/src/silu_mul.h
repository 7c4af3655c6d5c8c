// Declarations shared by the kernel source and the operator.
#pragma once

#include <flambeau/elementwise.h>

// Returns the gradient of x in silu(x) * y, given the gradient of the result. The arguments are lanes in a kernel, and
// tensors if the derivative is recorded.
inline constexpr auto slope = [](auto grad, auto x, auto y) {
  const auto s = sigmoid(x);
  return grad * y * s * (1 + x * (1 - s));
};

namespace kernel {
extern const flambeau::Elementwise silu_mul, silu_mul_slope;
}
