// Positions and weights of the pixels that a point of a grid reads, on the CPU and on GPUs. Note [Sampling] in
// kernels/layers/grid_sample.cpp.
#pragma once

#include <cmath>
#include <cstdint>

#include "flambeau/macros.h"

namespace flambeau::kernels {

struct Sampling {
  enum Mode { Bilinear, Nearest, Bicubic } mode;
  enum Padding { Zeros, Border, Reflection } padding;
  bool align_corners;
  int dims;         // 2 or 3
  int64_t size[3];  // depth, height, width
  int taps() const { return mode == Nearest ? 1 : mode == Bicubic ? 16 : dims == 2 ? 4 : 8; }
};

}  // namespace flambeau::kernels

#ifdef FLAMBEAU_ISA
namespace flambeau::kernels::FLAMBEAU_ISA {

template <class T>
struct Coordinate {
  T position, slope;  // the position in pixels, and its derivative with respect to the grid coordinate
};

template <class T>
FLAMBEAU_INLINE Coordinate<T> pixels(T x, int64_t size, bool align_corners) {
  return align_corners ? Coordinate<T>{(x + 1) / 2 * T(size - 1), T(size - 1) / 2}
                       : Coordinate<T>{((x + 1) * T(size) - 1) / 2, T(size) / 2};
}

template <class T>
FLAMBEAU_INLINE Coordinate<T> clipped(Coordinate<T> c, int64_t size) {
  const T last = T(size - 1);
  const bool above = c.position > 0, below = c.position < last;
  return {above ? (below ? c.position : last) : T(0), above & below ? c.slope : T(0)};
}

// Reflects a coordinate at the edges of the image: the outer edges of its border pixels, or with align_corners their
// centres.
template <class T>
FLAMBEAU_INLINE Coordinate<T> reflected(Coordinate<T> c, int64_t size, bool align_corners) {
  const T low = align_corners ? T(0) : T(-0.5), span = align_corners ? T(size - 1) : T(size);
  if (span == 0) return {0, 0};
  T slope = c.slope, distance = c.position - low;
  if (distance < 0) {
    distance = -distance;
    slope = -slope;
  }
  const T extra = std::fmod(distance, span), flips = std::floor(distance / span);
  return std::fmod(flips, T(2)) == 0 ? Coordinate<T>{extra + low, slope} : Coordinate<T>{span - extra + low, -slope};
}

template <class T>
FLAMBEAU_INLINE Coordinate<T> padded(Coordinate<T> c, int64_t size, const Sampling& s) {
  if (s.padding == Sampling::Border) return clipped(c, size);
  if (s.padding == Sampling::Reflection) return clipped(reflected(c, size, s.align_corners), size);
  return c;
}

// Converts a position to an integer. NaN and positions that may not fit in int32 become -100, which is outside every
// image.
template <class T>
FLAMBEAU_INLINE int32_t to_int32(T position) {
  return int32_t(position > T(-1e9) && position < T(1e9) ? position : T(-100));
}
FLAMBEAU_INLINE int32_t inside(int32_t i, int64_t size) { return (i >= 0) & (i < int32_t(size)) ? i : -1; }

template <class T>
struct Tap {  // a pixel (-1 if outside), its weight, and the derivative of the weight with respect to the coordinate
  int32_t at;
  T weight, slope;
};

// Returns tap k of the four taps of a cubic convolution, Keys 1981 with a = -0.75. The distances of the taps are 1 + t,
// t, 1 - t and 2 - t. The padding applies to each tap separately.
template <class T>
FLAMBEAU_INLINE Tap<T> cubic_tap(int k, Coordinate<T> c, int64_t size, const Sampling& s) {
  const T a = T(-0.75), floor = std::floor(c.position), t = c.position - floor;
  const int32_t at = to_int32(floor);
  const T signed_distance = t + T(1 - k), sign = signed_distance < 0 ? T(-1) : T(1), d = std::fabs(signed_distance);
  const bool near = k == 1 || k == 2;
  const int32_t pixel = at == -100 ? -100 : at - 1 + k;
  const bool moved = s.padding != Sampling::Zeros;
  return {inside(moved ? to_int32(padded<T>({T(pixel), 1}, size, s).position) : pixel, size),
          near ? ((a + 2) * d - (a + 3)) * d * d + 1 : ((d - 5) * d + 8) * d * a - 4 * a,
          c.slope * sign * (near ? (3 * (a + 2) * d - 2 * (a + 3)) * d : (3 * d - 10) * d * a + 8 * a)};
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
#endif
