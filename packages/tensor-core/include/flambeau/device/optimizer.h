// Steps of optimizers over many tensors in one launch: the rules of kernels/optimizer_rules.h, an element a thread at a
// time. A unit says FLAMBEAU_OPTIMIZER(rule, T) or FLAMBEAU_SCALE(T).
#pragma once

#include "flambeau/device/halves.h"
#include "flambeau/device/kernel.h"
#include "flambeau/device/optimizer_arguments.h"
#include "kernels/optimizer_rules.h"

namespace flambeau::cuda {

template <class T>
using OptimizerNumber = std::conditional_t<std::is_same_v<T, double>, double, float>;

// The target that this block works on: the last whose first block is not after it.
inline int target_of_block(const OptimizerTargets& list) {
  int low = 0, high = list.count - 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (list.first_block[middle] <= blockIdx.x)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

// Calls f(target, i) for this thread's elements.
template <class F>
inline void each_element(const OptimizerTargets& list, F&& f) {
  const int which = target_of_block(list);
  const OptimizerTargets::Target& target = list.targets[which];
  const int64_t first = int64_t(blockIdx.x - list.first_block[which]) * kOptimizerBlock;
  const int64_t last = first + kOptimizerBlock < target.size ? first + kOptimizerBlock : target.size;
#pragma unroll 4
  for (int64_t i = first + threadIdx.x; i < last; i += blockDim.x) f(target, i);
}

template <class Rule, class T>
struct OptimizerLoop {
  using V = OptimizerNumber<T>;

  static void run(const OptimizerArguments& a) {
    V c[10];
    for (int i = 0; i < 10; ++i) c[i] = V(a.coefficients[i]);
    each_element(a.list, [&](const OptimizerTargets::Target& target, int64_t i) {
      V values[kOptimizerTensors];
      for (int t = 0; t < kOptimizerTensors; ++t)
        values[t] = target.at[t] ? convert<V>(reinterpret_cast<const T*>(target.at[t])[i]) : V(0);
      const auto state = [&](int t) { return target.at[t] ? &values[t] : nullptr; };
      Rule::template apply<V>(&values[0], &values[1], state(2), state(3), state(4), 1, c);
      for (int t = 0; t < kOptimizerTensors; ++t)
        if (t != 1 && target.at[t]) reinterpret_cast<T*>(target.at[t])[i] = convert<T>(values[t]);
    });
  }
};

template <class T>
inline void scale_elements(const ScaleArguments& a) {
  using V = OptimizerNumber<T>;
  const V factor = V(a.factor);
  bool finite = true;
  each_element(a.list, [&](const OptimizerTargets::Target& target, int64_t i) {
    T& element = reinterpret_cast<T*>(target.at[0])[i];
    const V v = convert<V>(element);
    finite &= v - v == V(0);
    element = convert<T>(v * factor);
  });
  if (!finite) atomicExch(a.infinite, 1);
}

}  // namespace flambeau::cuda

#define FLAMBEAU_OPTIMIZER(rule, T)                                                  \
  FLAMBEAU_KERNEL(step, flambeau::cuda::OptimizerArguments) {                        \
    flambeau::cuda::OptimizerLoop<flambeau::kernels::FLAMBEAU_ISA::rule, T>::run(a); \
  }
#define FLAMBEAU_SCALE(T) \
  FLAMBEAU_KERNEL(scale, flambeau::cuda::ScaleArguments) { flambeau::cuda::scale_elements<T>(a); }
