// Optimizer steps for many tensors in one launch. The rules are in flambeau/kernels/optimizer_rules.h. A thread
// processes 16 bytes at a time. A module invokes FLAMBEAU_OPTIMIZER(rule, T) or FLAMBEAU_SCALE(T).
#pragma once

#include "device/elementwise/halves.h"
#include "device/layers/optimizer_arguments.h"
#include "device/threads/kernel.h"
#include "device/threads/teams.h"
#include "flambeau/kernels/optimizer_rules.h"

namespace flambeau::cuda {

template <class T>
using OptimizerNumber = std::conditional_t<std::is_same_v<T, double>, double, float>;

// Returns the index of the target that this block processes: the last target whose first block is not after this block.
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

// Calls update_pack(target, first) for each of this thread's packs and update_element(target, i) for each of its
// elements outside packs. Packs are used if all tensors of a target are aligned to 16 bytes.
template <class T, class UpdatePack, class UpdateElement>
inline void each_pack(const OptimizerTargets& list, UpdatePack&& update_pack, UpdateElement&& update_element) {
  constexpr int kWidth = Pack<T>::kWidth;
  static_assert(kOptimizerBlock % kWidth == 0);
  const int which = target_of_block(list);
  const OptimizerTargets::Target& target = list.targets[which];
  const int64_t first = int64_t(blockIdx.x - list.first_block[which]) * kOptimizerBlock;
  const int64_t last = first + kOptimizerBlock < target.size ? first + kOptimizerBlock : target.size;
  bool aligned = true;
  for (const char* tensor : target.at) aligned &= is_aligned(tensor);
  const int64_t packed = aligned ? last - (last - first) % kWidth : first;
  for (int64_t i = first + int64_t(threadIdx.x) * kWidth; i < packed; i += int64_t(blockDim.x) * kWidth)
    update_pack(target, i);
  for (int64_t i = packed + threadIdx.x; i < last; i += blockDim.x) update_element(target, i);
}

template <class Rule, class T>
struct OptimizerLoop {
  using V = OptimizerNumber<T>;
  using Coefficients = typename Rule::template Coefficients<V>;
  using Target = OptimizerTargets::Target;
  static constexpr int kWidth = Pack<T>::kWidth;

  static void apply(const Target& target, V (&values)[kOptimizerTensors], const Coefficients& c) {
    const auto state = [&](int t) { return target.at[t] ? &values[t] : nullptr; };
    Rule::template apply<V>(&values[0], &values[1], state(2), state(3), state(4), 1, c);
  }
  // All tensors are read before any of them is written.
  static void pack(const Target& target, int64_t first, const Coefficients& c) {
    Pack<T> packs[kOptimizerTensors] = {};
#pragma unroll
    for (int t = 0; t < kOptimizerTensors; ++t)
      if (target.at[t]) packs[t] = load(reinterpret_cast<const T*>(target.at[t]) + first, true);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      V values[kOptimizerTensors];
#pragma unroll
      for (int t = 0; t < kOptimizerTensors; ++t) values[t] = convert<V>(packs[t].values[j]);
      apply(target, values, c);
#pragma unroll
      for (int t = 0; t < kOptimizerTensors; ++t) packs[t].values[j] = convert<T>(values[t]);
    }
#pragma unroll
    for (int t = 0; t < kOptimizerTensors; ++t)
      if (t != 1 && target.at[t]) store(reinterpret_cast<T*>(target.at[t]) + first, packs[t], true);
  }
  static void element(const Target& target, int64_t i, const Coefficients& c) {
    V values[kOptimizerTensors];
    for (int t = 0; t < kOptimizerTensors; ++t)
      values[t] = target.at[t] ? convert<V>(reinterpret_cast<const T*>(target.at[t])[i]) : V(0);
    apply(target, values, c);
    for (int t = 0; t < kOptimizerTensors; ++t)
      if (t != 1 && target.at[t]) reinterpret_cast<T*>(target.at[t])[i] = convert<T>(values[t]);
  }

  static void run(const OptimizerArguments& a) {
    const auto c = kernels::FLAMBEAU_ISA::load_coefficients<Rule, V>(a.coefficients);
    each_pack<T>(
        a.list, [&](const Target& target, int64_t first) { pack(target, first, c); },
        [&](const Target& target, int64_t i) { element(target, i, c); });
  }
};

template <class T>
inline void scale_elements(const ScaleArguments& a) {
  using V = OptimizerNumber<T>;
  using Target = OptimizerTargets::Target;
  const V factor = V(a.factor);
  bool finite = true;
  const auto scaled = [&](T element) {
    const V v = convert<V>(element);
    finite &= v - v == V(0);
    return convert<T>(v * factor);
  };
  const auto pack = [&](const Target& target, int64_t first) {
    T* const at = reinterpret_cast<T*>(target.at[0]) + first;
    Pack<T> elements = load(at, true);
#pragma unroll
    for (T& element : elements.values) element = scaled(element);
    store(at, elements, true);
  };
  const auto update_element = [&](const Target& target, int64_t i) {
    T& element = reinterpret_cast<T*>(target.at[0])[i];
    element = scaled(element);
  };
  each_pack<T>(a.list, pack, update_element);
  if (!finite) atomicExch(a.infinite, 1);
}

}  // namespace flambeau::cuda

#define FLAMBEAU_OPTIMIZER(rule, T)                                                  \
  FLAMBEAU_KERNEL(step, flambeau::cuda::OptimizerArguments) {                        \
    flambeau::cuda::OptimizerLoop<flambeau::kernels::FLAMBEAU_ISA::rule, T>::run(a); \
  }
#define FLAMBEAU_SCALE(T) \
  FLAMBEAU_KERNEL(scale, flambeau::cuda::ScaleArguments) { flambeau::cuda::scale_elements<T>(a); }
