// Equally spaced numbers. A module invokes FLAMBEAU_SEQUENCE(T).
#pragma once

#include "device/elementwise/halves.h"
#include "device/random/sequences_arguments.h"
#include "device/threads/kernel.h"

namespace flambeau::cuda {

template <class T>
void sequence(const SequenceArguments& a) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= a.count) return;
  T* out = static_cast<T*>(a.out);
  if (a.is_integer)
    out[i] = convert<T>(int64_t(uint64_t(a.first) + uint64_t(i) * uint64_t(a.step)));
  else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
    out[i] = T(int64_t(a.line.at(double(i))));
  else
    out[i] = convert<T>(a.line.at(double(i)));
}

}  // namespace flambeau::cuda

#define FLAMBEAU_SEQUENCE(T) \
  FLAMBEAU_KERNEL(sequence, flambeau::cuda::SequenceArguments) { flambeau::cuda::sequence<T>(a); }
