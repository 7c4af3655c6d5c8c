// Sums, means and maxima over bags of rows of a table. Each thread computes one element of the result, and adjacent
// threads compute adjacent elements. A module invokes FLAMBEAU_BAGS(T).
#pragma once

#include "device/elementwise/halves.h"
#include "device/layers/bags_arguments.h"
#include "device/threads/kernel.h"

namespace flambeau::cuda {

template <class T>
void bag(const BagArguments& a) {
  using V = std::conditional_t<std::is_same_v<T, double>, double, float>;
  const int64_t thread = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t b = thread / a.width, column = thread - b * a.width;
  if (b >= a.bags) return;
  const int64_t begin = a.begins[b] < 0 ? 0 : a.begins[b];
  const int64_t end = a.begins[b + 1] < a.entries ? a.begins[b + 1] : a.entries;
  int64_t size = 0, largest = -1;
  V value(0);
  for (int64_t i = begin; i < end; ++i) {
    if (a.indices[i] == a.padding) continue;
    const int64_t row = checked_index(a.reporter, a.indices[i], a.rows, false);
    const V x = convert<V>(static_cast<const T*>(a.table)[row * a.width + column]);
    if (a.extremes) {
      if (size == 0 || x > value) value = x, largest = row;
    } else {
      value += a.factors ? x * convert<V>(static_cast<const T*>(a.factors)[i]) : x;
    }
    ++size;
  }
  if (a.mean && size > 1) value /= V(size);
  static_cast<T*>(a.out)[thread] = convert<T>(value);
  if (a.extremes) a.extremes[thread] = largest;
  if (column == 0) a.sizes[b] = size;
}

}  // namespace flambeau::cuda

#define FLAMBEAU_BAGS(T) \
  FLAMBEAU_KERNEL(bag, flambeau::cuda::BagArguments) { flambeau::cuda::bag<T>(a); }
