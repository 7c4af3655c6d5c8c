// Max pooling. In the derivative, each pixel reads the windows that contain it, so that the result does not depend on
// the order of the threads. A module invokes FLAMBEAU_MAX_POOL(T).
#pragma once

#include "device/elementwise/halves.h"
#include "device/layers/pool_arguments.h"
#include "device/threads/kernel.h"
#include "device/threads/plane_position.h"

namespace flambeau::cuda {

struct WindowRange {  // the positions first + i * step that are less than last
  int64_t first, last, step;
};

inline WindowRange window_of(const PoolWindows& w, int d, int64_t o) {
  if (w.adaptive) return {o * w.size[d] / w.out[d], ((o + 1) * w.size[d] + w.out[d] - 1) / w.out[d], 1};
  const int64_t begin = o * w.stride[d] - w.padding[d], end = begin + w.dilation[d] * (w.kernel[d] - 1) + 1;
  const int64_t skipped = begin < 0 ? (-begin + w.dilation[d] - 1) / w.dilation[d] : 0;
  return {begin + skipped * w.dilation[d], end < w.size[d] ? end : w.size[d], w.dilation[d]};
}

// Returns a range of windows that includes all windows with the given position.
inline WindowRange windows_at(const PoolWindows& w, const Divider& step, int d, int64_t position) {
  if (w.adaptive) {
    const int64_t last = divide((position + 1) * w.out[d] + w.size[d] - 1, step);
    return {divide(position * w.out[d], step), last < w.out[d] ? last : w.out[d], 1};
  }
  const int64_t at = position + w.padding[d], reach = w.dilation[d] * (w.kernel[d] - 1);
  const int64_t first = at <= reach ? 0 : divide(at - reach + w.stride[d] - 1, step), last = divide(at, step) + 1;
  return {first, last < w.out[d] ? last : w.out[d], 1};
}

// Returns the window of an output of fractional pooling (Graham 2014, arXiv:1412.6071). V is the type in which the CPU
// computes the positions.
template <class V>
inline WindowRange fractional_window(const MaxPoolArguments& a, int d, int64_t plane, int64_t o) {
  const PoolWindows& w = a.windows;
  const int64_t last = w.size[d] - w.kernel[d];
  int64_t start = last;
  if (o + 1 < w.out[d]) {
    const int64_t dim = d - (3 - a.sampled_dims), at = a.reversed_samples ? a.sampled_dims - 1 - dim : dim;
    const V sample = V(a.samples[plane * a.sampled_dims + at]), alpha = V(last) / V(w.out[d] - 1);
    start = int64_t((V(o) + sample) * alpha) - int64_t(sample * alpha);
    start = start < 0 ? 0 : start < last ? start : last;
  }
  return {start, start + w.kernel[d], 1};
}

template <class T>
using Compared = std::conditional_t<std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>, float, T>;

template <class T>
inline void max_pool(const MaxPoolArguments& a) {
  using V = Compared<T>;
  const int64_t at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= a.count) return;
  const PoolWindows& w = a.windows;
  const PlanePosition p = plane_position(at, a.by);
  const auto window = [&](int d) {
    using Position = std::conditional_t<std::is_same_v<T, double>, double, float>;
    return a.samples ? fractional_window<Position>(a, d, p.plane, p.at[d]) : window_of(w, d, p.at[d]);
  };
  const WindowRange depth_range = window(0), height_range = window(1), width_range = window(2);
  const T* image = reinterpret_cast<const T*>(a.input) + p.plane * w.size[0] * w.size[1] * w.size[2];
  const auto index = [&](int64_t z, int64_t y, int64_t x) { return (z * w.size[1] + y) * w.size[2] + x; };
  int64_t best_at = index(depth_range.first, height_range.first, width_range.first);
  V best = std::is_floating_point_v<V> ? -V(INFINITY) : std::numeric_limits<V>::lowest();
  for (int64_t z = depth_range.first; z < depth_range.last; z += depth_range.step)
    for (int64_t y = height_range.first; y < height_range.last; y += height_range.step)
      for (int64_t x = width_range.first; x < width_range.last; x += width_range.step) {
        const V v = convert<V>(image[index(z, y, x)]);
        if (v > best || v != v) best = v, best_at = index(z, y, x);
      }
  reinterpret_cast<T*>(a.out)[at] = convert<T>(best);
  a.indices[at] = best_at;
}

template <class T>
inline void max_pool_derivative(const MaxPoolArguments& a) {
  using V = Compared<T>;
  const int64_t at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= a.count) return;
  const PoolWindows& w = a.windows;
  const PlanePosition p = plane_position(at, a.by);
  const int64_t own = (p.at[0] * w.size[1] + p.at[1]) * w.size[2] + p.at[2],
                first = p.plane * w.out[0] * w.out[1] * w.out[2];
  const auto windows = [&](int d) { return windows_at(w, a.steps[d], d, p.at[d]); };
  const WindowRange depth_range = windows(0), height_range = windows(1), width_range = windows(2);
  V sum = V(0);
  for (int64_t z = depth_range.first; z < depth_range.last; ++z)
    for (int64_t y = height_range.first; y < height_range.last; ++y)
      for (int64_t x = width_range.first; x < width_range.last; ++x) {
        const int64_t window = first + (z * w.out[1] + y) * w.out[2] + x;
        if (a.indices[window] == own) sum += convert<V>(reinterpret_cast<const T*>(a.input)[window]);
      }
  reinterpret_cast<T*>(a.out)[at] = convert<T>(sum);
}

}  // namespace flambeau::cuda

#define FLAMBEAU_MAX_POOL(T)                                                                    \
  FLAMBEAU_KERNEL(values, flambeau::cuda::MaxPoolArguments) { flambeau::cuda::max_pool<T>(a); } \
  FLAMBEAU_KERNEL(derivative, flambeau::cuda::MaxPoolArguments) { flambeau::cuda::max_pool_derivative<T>(a); }
