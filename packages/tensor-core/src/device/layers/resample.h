// Note [Resampling] on a GPU: one kernel applies the matrices of all dimensions. A module invokes FLAMBEAU_RESAMPLE(T,
// V).
#pragma once

#include "device/elementwise/halves.h"
#include "device/layers/pool_arguments.h"
#include "device/threads/kernel.h"
#include "device/threads/plane_position.h"

namespace flambeau::cuda {

template <class V>
struct Taps {  // the taps of one row of a matrix
  int64_t first, last;
  const int32_t* index;
  const V* weight;
  int64_t own;

  Taps(const ResampleArguments::Axis& axis, int64_t o) : first(0), last(1), index(axis.index), own(o) {
    weight = reinterpret_cast<const V*>(axis.weight);
    if (axis.ends) first = o ? axis.ends[o - 1] : 0, last = axis.ends[o];
    identity = !axis.ends;
  }
  int64_t source(int64_t k) const { return identity ? own : index[k]; }
  V share(int64_t k) const { return identity ? V(1) : weight[k]; }

 private:
  bool identity;
};

template <class T, class V>
inline void resample(const ResampleArguments& a) {
  const int64_t at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= a.count) return;
  const PlanePosition p = plane_position(at, a.by);
  const Taps<V> deep(a.axes[0], p.at[0]), high(a.axes[1], p.at[1]), wide(a.axes[2], p.at[2]);
  const T* image = reinterpret_cast<const T*>(a.input) + p.plane * a.axes[0].size * a.axes[1].size * a.axes[2].size;
  V sum = V(0);
  for (int64_t i = deep.first; i < deep.last; ++i) {
    V plane = V(0);
    for (int64_t j = high.first; j < high.last; ++j) {
      const T* line = image + (deep.source(i) * a.axes[1].size + high.source(j)) * a.axes[2].size;
      V row = V(0);
      for (int64_t k = wide.first; k < wide.last; ++k) row += wide.share(k) * convert<V>(line[wide.source(k)]);
      plane += high.share(j) * row;
    }
    sum += deep.share(i) * plane;
  }
  reinterpret_cast<T*>(a.out)[at] = convert<T>(sum);
}

}  // namespace flambeau::cuda

#define FLAMBEAU_RESAMPLE(T, V) \
  FLAMBEAU_KERNEL(apply, flambeau::cuda::ResampleArguments) { flambeau::cuda::resample<T, V>(a); }
