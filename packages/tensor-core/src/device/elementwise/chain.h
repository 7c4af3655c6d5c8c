// Kernels that apply several pointwise operators to each element. See program/gpu_chain.h. The source of a module
// includes this file, defines
//
//   struct Chain { template <class V> static auto call(V v0, V v1, ...) { ... } };
//
// whose statements call value_of() and derivative_of() of pointwise_operators.h, and invokes FLAMBEAU_POINTWISE(Chain,
// ...).
#pragma once

#include "device/elementwise/pointwise.h"
#include "device/elementwise/pointwise_operators.h"

namespace flambeau::cuda {

// Rounds the result of an operator to its type in memory, T, as separate operators would. The compiler cannot combine
// the product of one operator and the sum of the next one to one operation, which would be rounded once instead of
// twice.
template <class T, class V>
inline V rounded(V value) {
  V out = convert<V>(convert<T>(value));
#ifndef FLAMBEAU_EMULATED
  // Adding -0 changes no number. `.rn` forbids the compiler to fuse this sum with the product before it. The next sum
  // then has this sum as its operand, not the product.
  if constexpr (std::is_same_v<V, float>) asm("add.rn.f32 %0, %0, 0f80000000;" : "+f"(out));
  if constexpr (std::is_same_v<V, double>) asm("add.rn.f64 %0, %0, 0d8000000000000000;" : "+d"(out));
#endif
  return out;
}

}  // namespace flambeau::cuda
