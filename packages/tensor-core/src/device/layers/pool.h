// Max pooling. In the derivative, each thread reads the windows that contain a few adjacent pixels, so that the result
// does not depend on the order of the threads. A module invokes FLAMBEAU_MAX_POOL(T, height, width), where height and
// width are the size of windows that are not adaptive, or 0 and 0 for windows of any size.
#pragma once

#include "device/elementwise/halves.h"
#include "device/layers/pool_arguments.h"
#include "device/threads/kernel.h"
#include "device/threads/plane_position.h"

namespace flambeau::cuda {

struct WindowRange {  // the positions first + i * step that are less than last
  int first, last, step;
};

inline WindowRange window_of(const PoolWindows& w, int d, int64_t o) {
  if (w.adaptive) return {int(o * w.size[d] / w.out[d]), int(((o + 1) * w.size[d] + w.out[d] - 1) / w.out[d]), 1};
  const int size = int(w.size[d]), step = int(w.dilation[d]);
  int begin = int(o) * int(w.stride[d]) - int(w.padding[d]);
  const int end = begin + step * (int(w.kernel[d]) - 1) + 1;
  if (begin < 0) begin += step == 1 ? -begin : (-begin + step - 1) / step * step;
  return {begin, end < size ? end : size, step};
}

// Returns a range of windows that includes all windows with the given position.
inline WindowRange windows_at(const PoolWindows& w, const Divider& step, int d, int64_t position) {
  const int out = int(w.out[d]);
  if (w.adaptive) {
    const int last = int(divide((position + 1) * w.out[d] + w.size[d] - 1, step));
    return {int(divide(position * w.out[d], step)), last < out ? last : out, 1};
  }
  const int at = int(position) + int(w.padding[d]), reach = int(w.dilation[d]) * (int(w.kernel[d]) - 1);
  const int first = at <= reach ? 0 : int(step.quotient(at - reach + int(w.stride[d]) - 1)),
            last = int(step.quotient(at)) + 1;
  return {first, last < out ? last : out, 1};
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
  return {int(start), int(start + w.kernel[d]), 1};
}

template <class T>
using Compared = std::conditional_t<std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>, float, T>;

// The largest element of a window, and its position in the image.
template <class T>
struct Largest {
  using V = Compared<T>;
  V value = std::is_floating_point_v<V> ? -V(INFINITY) : std::numeric_limits<V>::lowest();
  int64_t position;

  bool add(V v) {
    const bool larger = v > value || v != v;
    if (larger) value = v;
    return larger;
  }
  // Adds the elements of a window in a slice of the image. `start` is the position of the slice's first element.
  void add_window(const T* image, int64_t start, int64_t width, const WindowRange& ys, const WindowRange& xs) {
    for (int y = ys.first; y < ys.last; y += ys.step)
      for (int x = xs.first; x < xs.last; x += xs.step)
        if (const int64_t at = start + y * width + x; add(convert<V>(image[at]))) position = at;
  }
  // Like the previous function, for windows of a constant size. All elements are loaded before they are compared.
  template <int kHeight, int kWidth>
  void add_window(const T* image, int64_t start, int64_t width, const WindowRange& ys, const WindowRange& xs) {
    start += ys.first * width + xs.first;
    T values[kHeight][kWidth];
    int found = -1;
    const auto each = [&](auto f) {
#pragma unroll
      for (int j = 0; j < kHeight; ++j)
#pragma unroll
        for (int i = 0; i < kWidth; ++i)
          if (ys.first + j * ys.step < ys.last && xs.first + i * xs.step < xs.last) f(j, i);
    };
    each([&](int j, int i) { values[j][i] = image[start + j * ys.step * width + i * xs.step]; });
    each([&](int j, int i) {
      if (add(convert<V>(values[j][i]))) found = j * kWidth + i;
    });
    if (found >= 0) position = start + found / kWidth * ys.step * width + found % kWidth * xs.step;
  }
};

template <class T, int kHeight, int kWidth>
inline void max_pool(const MaxPoolArguments& a) {
  const int64_t at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= a.count) return;
  const PoolWindows& w = a.windows;
  const PlanePosition p = plane_position(at, a.by);
  const auto window = [&](int d) {
    using Position = std::conditional_t<std::is_same_v<T, double>, double, float>;
    return a.samples ? fractional_window<Position>(a, d, p.plane, p.at[d]) : window_of(w, d, p.at[d]);
  };
  const WindowRange zs = window(0), ys = window(1), xs = window(2);
  const int64_t slice = w.size[1] * w.size[2];
  const T* image = reinterpret_cast<const T*>(a.input) + p.plane * w.size[0] * slice;
  Largest<T> largest;
  largest.position = zs.first * slice + ys.first * w.size[2] + xs.first;
  for (int z = zs.first; z < zs.last; z += zs.step) {
    if constexpr (kHeight > 0)
      largest.template add_window<kHeight, kWidth>(image, z * slice, w.size[2], ys, xs);
    else
      largest.add_window(image, z * slice, w.size[2], ys, xs);
  }
  reinterpret_cast<T*>(a.out)[at] = convert<T>(largest.value);
  a.indices[at] = largest.position;
}

template <class T>
struct alignas(kPixels * sizeof(T) < 16 ? kPixels * sizeof(T) : 16) Pixels {
  T values[kPixels];
};

// Computes a group of kPixels adjacent pixels of a row; the last group of a row may have fewer. `whole`: all groups are
// complete, and their addresses are aligned.
template <class T, bool whole>
inline void max_pool_derivative(const MaxPoolArguments& a) {
  using V = Compared<T>;
  constexpr int kTogether = 4;  // windows that are loaded before they are compared
  const int64_t at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= a.count) return;
  const PoolWindows& w = a.windows;
  const PlanePosition p = plane_position(at, a.by);
  const int64_t column = p.at[2] * kPixels, own = (p.at[0] * w.size[1] + p.at[1]) * w.size[2] + column,
                first = p.plane * w.out[0] * w.out[1] * w.out[2];
  const int pixels = whole || w.size[2] - column >= kPixels ? kPixels : int(w.size[2] - column);
  const WindowRange zs = windows_at(w, a.steps[0], 0, p.at[0]), ys = windows_at(w, a.steps[1], 1, p.at[1]);
  const int begin = windows_at(w, a.steps[2], 2, column).first,
            end = windows_at(w, a.steps[2], 2, column + pixels - 1).last;
  V sums[kPixels] = {};
  for (int z = zs.first; z < zs.last; ++z)
    for (int y = ys.first; y < ys.last; ++y)
      for (int x = begin; x < end; x += kTogether) {
        const int64_t window = first + (z * w.out[1] + y) * w.out[2] + x;
        const int64_t* positions = a.indices + window;
        const T* grads = reinterpret_cast<const T*>(a.input) + window;
        int64_t pixel[kTogether];
        T grad[kTogether];
#pragma unroll
        for (int i = 0; i < kTogether; ++i) {
          const bool in_range = x + i < end;
          pixel[i] = in_range ? positions[i] - own : -1;
          grad[i] = in_range ? grads[i] : T{};
        }
#pragma unroll
        for (int i = 0; i < kTogether; ++i)
#pragma unroll
          for (int j = 0; j < kPixels; ++j)
            if (pixel[i] == j) sums[j] += convert<V>(grad[i]);
      }
  const int64_t pixel_at = p.plane * w.size[0] * w.size[1] * w.size[2] + own;
  T* out = reinterpret_cast<T*>(a.out) + pixel_at;
  if constexpr (whole) {
    Pixels<T> results;
#pragma unroll
    for (int j = 0; j < kPixels; ++j) results.values[j] = convert<T>(sums[j]);
    reinterpret_cast<Pixels<T>*>(a.out)[pixel_at / kPixels] = results;
  } else {
#pragma unroll
    for (int j = 0; j < kPixels; ++j)
      if (j < pixels) out[j] = convert<T>(sums[j]);
  }
}

}  // namespace flambeau::cuda

#define FLAMBEAU_MAX_POOL(T, height, width)                                                                           \
  FLAMBEAU_KERNEL(values, flambeau::cuda::MaxPoolArguments) { flambeau::cuda::max_pool<T, height, width>(a); }        \
  FLAMBEAU_KERNEL(derivative, flambeau::cuda::MaxPoolArguments) { flambeau::cuda::max_pool_derivative<T, false>(a); } \
  FLAMBEAU_KERNEL(derivative_of_packs, flambeau::cuda::MaxPoolArguments) {                                            \
    flambeau::cuda::max_pool_derivative<T, true>(a);                                                                  \
  }
