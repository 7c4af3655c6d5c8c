// Note [Sampling]
// A point of a grid reads a fixed number of pixels. Each mode defines a list of taps: an index into the image, and a
// weight that is a function of the point. Weights and their derivatives with respect to the point's coordinates are
// computed once for all channels. The rest of the computation consists of gathers and sums. With padding by zeros, a
// tap outside the image has the index -1.
#include <algorithm>
#include <cmath>

#include "kernels/layers/networks.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

// The taps of a block of points along one dimension: pixels (-1 outside the image), weights, and the derivatives of the
// weights with respect to the coordinates (slopes).
template <class T>
struct Lines {
  int count = 1;
  int32_t at[4][kPoints];
  T weight[4][kPoints], slope[4][kPoints];
};

// Computes the taps of mode "nearest". to_pixel(x) returns the position of a grid coordinate in pixels, with the
// padding mode applied. The compiler can vectorise the loops over points if it can vectorise to_pixel.
template <class T, class ToPixel>
FLAMBEAU_INLINE void nearest_lines(Lines<T>& l, const T* grid, int64_t points, int64_t size, ToPixel to_pixel) {
  l.count = 1;
  for (int64_t p = 0; p < points; ++p) {
    l.at[0][p] = inside(to_int32(std::nearbyint(to_pixel(grid[p]).position)), size);
    l.weight[0][p] = T(1);
    l.slope[0][p] = T(0);
  }
}

template <class T, class ToPixel>
FLAMBEAU_INLINE void linear_lines(Lines<T>& l, const T* grid, int64_t points, int64_t size, ToPixel to_pixel) {
  l.count = 2;
  for (int64_t p = 0; p < points; ++p) {
    const Coordinate<T> c = to_pixel(grid[p]);
    const T floor = std::floor(c.position), share = c.position - floor;
    const int32_t at = to_int32(floor);
    l.at[0][p] = inside(at, size);
    l.at[1][p] = inside(at + 1, size);
    l.weight[0][p] = T(1) - share;
    l.weight[1][p] = share;
    l.slope[0][p] = -c.slope;
    l.slope[1][p] = c.slope;
  }
}

template <class T>
void cubic_lines(Lines<T>& l, const T* grid, int64_t points, int64_t size, const Sampling& s) {
  l.count = 4;
  for (int64_t p = 0; p < points; ++p) {
    const Coordinate<T> c = pixels(grid[p], size, s.align_corners);
    for (int k = 0; k < 4; ++k) {
      const Tap<T> tap = cubic_tap(k, c, size, s);
      l.weight[k][p] = tap.weight;
      l.slope[k][p] = tap.slope;
      l.at[k][p] = tap.at;
    }
  }
}

template <class T>
void fill_lines(Lines<T>& l, const T* grid, int64_t points, int64_t size, const Sampling& s) {
  const bool corners = s.align_corners;
  const auto by_mode = [&](auto to_pixel) __attribute__((always_inline)) {
    (s.mode == Sampling::Nearest) ? nearest_lines(l, grid, points, size, to_pixel)
                                  : linear_lines(l, grid, points, size, to_pixel);
  };
  if (s.mode == Sampling::Bicubic)
    cubic_lines(l, grid, points, size, s);
  else if (s.padding == Sampling::Zeros)
    by_mode([=](T x) __attribute__((always_inline)) { return pixels(x, size, corners); });
  else if (s.padding == Sampling::Border)
    by_mode([=](T x) __attribute__((always_inline)) { return clipped(pixels(x, size, corners), size); });
  else
    by_mode([=](T x) __attribute__((always_inline)) {
      return clipped(reflected(pixels(x, size, corners), size, corners), size);
    });
}

constexpr int64_t kVector = 16;  // the number of points is rounded up to a multiple of this; added points are at 0

// Separates the coordinates of the points and adds points at 0 up to the number `filled`.
template <int Dims, class T>
void split(T (&to)[Dims][kPoints], const T* grid, int64_t points, int64_t filled) {
  for (int64_t p = 0; p < points; ++p)
    for (int d = 0; d < Dims; ++d) to[d][p] = grid[p * Dims + d];
  for (int d = 0; d < Dims; ++d) std::fill(to[d] + points, to[d] + filled, T(0));
}

// Computes the taps of points from the taps along each dimension. The weight of a tap is the product of one weight per
// dimension.
template <int Dims, bool slopes, class T>
void combine(const Sampling& s, const Lines<T> (&lines)[3], int64_t points, Taps<T>& taps) {
  const auto& [x, y, z] = lines;
  const int32_t height = int32_t(s.size[1]), width = int32_t(s.size[2]);
  int t = 0;
  for (int k = 0; k < (Dims == 3 ? z.count : 1); ++k)
    for (int j = 0; j < y.count; ++j)
      for (int i = 0; i < x.count; ++i, ++t)
#pragma GCC ivdep
        for (int64_t p = 0; p < points; ++p) {
          const int32_t xs = x.at[i][p], ys = y.at[j][p], zs = Dims == 3 ? z.at[k][p] : 0;
          const T wx = x.weight[i][p], wy = y.weight[j][p], wz = Dims == 3 ? z.weight[k][p] : T(1);
          taps.index[t][p] = (xs | ys | zs) < 0 ? -1 : (zs * height + ys) * width + xs;
          taps.weight[t][p] = Dims == 3 ? wx * wy * wz : wx * wy;
          if constexpr (!slopes) continue;
          taps.slope[0][t][p] = x.slope[i][p] * wy * wz;
          taps.slope[1][t][p] = wx * y.slope[j][p] * wz;
          if (Dims == 3) taps.slope[2][t][p] = wx * wy * z.slope[k][p];
        }
}

template <int Dims, class T>
void place_taps_of(const Sampling& s, const T* grid, int64_t points, Taps<T>& taps, bool slopes) {
  T coordinates[Dims][kPoints];
  const int64_t filled = (points + kVector - 1) / kVector * kVector;
  split<Dims>(coordinates, grid, points, filled);
  Lines<T> lines[3];  // for x, y and z
  for (int d = 0; d < Dims; ++d) fill_lines(lines[d], coordinates[d], filled, s.size[2 - d], s);
  slopes ? combine<Dims, true>(s, lines, filled, taps) : combine<Dims, false>(s, lines, filled, taps);
}
template <class T>
void place_taps(const Sampling& s, const char* grid, int64_t points, void* taps, bool slopes) {
  const auto compute = s.dims == 2 ? place_taps_of<2, T> : place_taps_of<3, T>;
  compute(s, reinterpret_cast<const T*>(grid), points, *static_cast<Taps<T>*>(taps), slopes);
}

template <class T>
FLAMBEAU_INLINE T read(const T* image, int32_t index) {
  const T v = image[index < 0 ? 0 : index];
  return index < 0 ? T(0) : v;
}

template <int Count, class T>
void sum_taps(const Taps<T>& taps, int64_t points, const T* __restrict image, T* __restrict out) {
#pragma GCC ivdep
  for (int64_t p = 0; p < points; ++p) {
    T sum = taps.weight[0][p] * read(image, taps.index[0][p]);
#pragma GCC unroll 16
    for (int t = 1; t < Count; ++t) sum += taps.weight[t][p] * read(image, taps.index[t][p]);
    out[p] = sum;
  }
}
template <class T>
void sample(const Sampling& s, int64_t points, const void* taps_, const char* image_bytes, char* out_bytes) {
  const Taps<T>& taps = *static_cast<const Taps<T>*>(taps_);
  const T* image = reinterpret_cast<const T*>(image_bytes);
  T* out = reinterpret_cast<T*>(out_bytes);
  if (s.taps() == 1) return sum_taps<1>(taps, points, image, out);
  if (s.taps() == 4) return sum_taps<4>(taps, points, image, out);
  if (s.taps() == 8) return sum_taps<8>(taps, points, image, out);
  sum_taps<16>(taps, points, image, out);
}

template <class T>
void sample_backward(const Sampling& s, int64_t points, const void* taps_, const char* image_bytes,
                     const char* grad_bytes, char* image_grad_bytes, char* point_grad_bytes) {
  const Taps<T>& taps = *static_cast<const Taps<T>*>(taps_);
  const T *image = reinterpret_cast<const T*>(image_bytes), *grad = reinterpret_cast<const T*>(grad_bytes);
  T* image_grad = reinterpret_cast<T*>(image_grad_bytes);
  T* __restrict point_grad = reinterpret_cast<T*>(point_grad_bytes);
  for (int t = 0; t < s.taps(); ++t) {
    if (image_grad)
      for (int64_t p = 0; p < points; ++p)
        if (taps.index[t][p] >= 0) image_grad[taps.index[t][p]] += grad[p] * taps.weight[t][p];
    if (point_grad)
      for (int d = 0; d < s.dims; ++d) {
#pragma GCC ivdep
        for (int64_t p = 0; p < points; ++p)
          point_grad[d * kPoints + p] += grad[p] * read(image, taps.index[t][p]) * taps.slope[d][t][p];
      }
  }
}

}  // namespace

void fill_grid_sample(NetworkTable& table) {
  table.place_taps[0] = place_taps<float>;
  table.place_taps[1] = place_taps<double>;
  table.sample[0] = sample<float>;
  table.sample[1] = sample<double>;
  table.sample_backward[0] = sample_backward<float>;
  table.sample_backward[1] = sample_backward<double>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
