// Sampling of images at the points of a grid: Note [Sampling] in kernels/layers/grid_sample.cpp. A module invokes
// FLAMBEAU_GRID_SAMPLE(T), which defines the kernels
//
//   taps      the pixels that each point reads, and their weights; one thread per point
//   sample    the sampled values; one thread per point and channel
//   points    the gradient with respect to the grid; one thread per point
#pragma once

#include "device/layers/grid_sample_arguments.h"
#include "device/threads/kernel.h"

namespace flambeau::cuda {

template <class T>
struct GridSample {
  using Tap = kernels::FLAMBEAU_ISA::Tap<T>;
  static int64_t thread_number() { return int64_t(blockIdx.x) * blockDim.x + threadIdx.x; }

  // Computes the taps along one dimension and returns their number.
  static int line(const kernels::Sampling& s, T x, int64_t size, Tap (&taps)[4]) {
    using namespace kernels::FLAMBEAU_ISA;
    const Coordinate<T> plain = pixels(x, size, s.align_corners);
    if (s.mode == kernels::Sampling::Bicubic) {
      for (int k = 0; k < 4; ++k) taps[k] = cubic_tap(k, plain, size, s);
      return 4;
    }
    const Coordinate<T> c = padded(plain, size, s);
    if (s.mode == kernels::Sampling::Nearest) {
      taps[0] = {inside(to_int32(T(std::nearbyint(c.position))), size), T(1), T(0)};
      return 1;
    }
    const T floor = std::floor(c.position), share = c.position - floor;
    taps[0] = {inside(to_int32(floor), size), T(1) - share, -c.slope};
    taps[1] = {inside(to_int32(floor) + 1, size), share, c.slope};
    return 2;
  }

  static void taps(const GridArguments& a) {
    const int64_t i = thread_number(), total = a.batch * a.points;
    if (i >= total) return;
    const kernels::Sampling& s = a.sampling;
    const T* at = static_cast<const T*>(a.grid) + i * s.dims;
    Tap x[4], y[4], z[4] = {{0, T(1), T(0)}};
    const int wide = line(s, at[0], s.size[2], x), high = line(s, at[1], s.size[1], y);
    const int deep = s.dims == 3 ? line(s, at[2], s.size[0], z) : 1;
    const int64_t step = s.taps() * total;
    T *weight = static_cast<T*>(a.weight), *slope = static_cast<T*>(a.slope);
    int64_t to = i;
    for (int k = 0; k < deep; ++k)
      for (int j = 0; j < high; ++j)
        for (int l = 0; l < wide; ++l, to += total) {
          const bool seen = x[l].at >= 0 && y[j].at >= 0 && z[k].at >= 0;
          a.index[to] = seen ? int32_t((z[k].at * s.size[1] + y[j].at) * s.size[2] + x[l].at) : -1;
          weight[to] = x[l].weight * y[j].weight * z[k].weight;
          if (!slope) continue;
          slope[to] = x[l].slope * y[j].weight * z[k].weight;
          slope[to + step] = x[l].weight * y[j].slope * z[k].weight;
          if (s.dims == 3) slope[to + 2 * step] = x[l].weight * y[j].weight * z[k].slope;
        }
  }

  static void sample(const GridArguments& a) {
    const int64_t i = thread_number(), total = a.batch * a.points;
    if (i >= total * a.channels) return;
    const int64_t plane = i / a.points, sample = plane / a.channels;
    const T* image = static_cast<const T*>(a.image) + plane * a.pixels;
    int64_t tap = sample * a.points + (i - plane * a.points);
    T sum(0);
    for (int t = 0; t < a.sampling.taps(); ++t, tap += total)
      if (a.index[tap] >= 0) sum += static_cast<const T*>(a.weight)[tap] * image[a.index[tap]];
    static_cast<T*>(a.out)[i] = sum;
  }

  static void points(const GridArguments& a) {
    const int64_t i = thread_number(), total = a.batch * a.points;
    if (i >= total) return;
    const int64_t sample = i / a.points, step = a.sampling.taps() * total;
    const T *image = static_cast<const T*>(a.image) + sample * a.channels * a.pixels,
            *grad = static_cast<const T*>(a.grad) + sample * a.channels * a.points + (i - sample * a.points),
            *slope = static_cast<const T*>(a.slope);
    T sums[3] = {};
    int64_t tap = i;
    for (int t = 0; t < a.sampling.taps(); ++t, tap += total) {
      const int32_t position = a.index[tap];
      if (position < 0) continue;
      T product(0);
      for (int64_t c = 0; c < a.channels; ++c) product += grad[c * a.points] * image[c * a.pixels + position];
      for (int d = 0; d < a.sampling.dims; ++d) sums[d] += product * slope[tap + d * step];
    }
    for (int d = 0; d < a.sampling.dims; ++d) static_cast<T*>(a.out)[i * a.sampling.dims + d] = sums[d];
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_GRID_SAMPLE(T)                                                                        \
  FLAMBEAU_KERNEL(taps, flambeau::cuda::GridArguments) { flambeau::cuda::GridSample<T>::taps(a); }     \
  FLAMBEAU_KERNEL(sample, flambeau::cuda::GridArguments) { flambeau::cuda::GridSample<T>::sample(a); } \
  FLAMBEAU_KERNEL(points, flambeau::cuda::GridArguments) { flambeau::cuda::GridSample<T>::points(a); }
