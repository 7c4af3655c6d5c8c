// Declarations shared by the kernel source and the operator.
#pragma once

#include <flambeau/elementwise.h>

// The gradient of silu(x) * y for x, from that of the result: of lanes in a kernel, and of tensors where flambeau
// records what is computed.
inline constexpr auto slope = [](auto grad, auto x, auto y) {
  const auto s = sigmoid(x);
  return grad * y * s * (1 + x * (1 - s));
};

namespace kernel {
extern const flambeau::Elementwise silu_mul, silu_mul_slope;
}
