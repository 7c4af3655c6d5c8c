// Convolution with stride 1, without unfolding.
//
// Note [Direct convolution]
// The image is padded and stored flat, with rows `width` apart. The output at flat position p is then a sum over taps
// of weight[tap] * image[p + offset[tap]], and each tap reads a contiguous range of the image. Positions are computed
// for complete rows of the image; positions beyond the output's width contain garbage, which is dropped afterwards. A
// register tile of R filters by V = 3 vectors of positions takes V loads and R broadcasts for V R multiply-adds. R is
// as large as the number of registers permits. The weight gradient is the dot product of the same ranges and the
// output's gradient, in which the garbage columns are zeros.
#include <cstring>

#include "flambeau/kernels/simd.h"
#include "flambeau/macros.h"
#include "kernels/fold.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr bool kWide = kVectorBytes == 64;  // true: there are 32 vector registers; false: 16
constexpr int kVectors = 3;                 // vectors of positions in a tile; the last tile may have fewer
constexpr int kTileRows = kWide ? kDirectRows : 4;

// Computes a tile of R filters by V vectors of positions. weights[t * height + r] is the weight of tap t in filter r.
template <class T, int R, int V>
void tile(int64_t taps, const T* __restrict weights, int64_t height, const T* __restrict image,
          const int32_t* __restrict offsets, const T* bias, T* out, int64_t ldo) {
  using S = Simd<T>;
  typename S::Vector sums[R][V], x[V];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 3
    for (int v = 0; v < V; ++v) sums[r][v] = typename S::Vector{} + (bias ? bias[r] : T(0));
  for (int64_t t = 0; t < taps; ++t, weights += height) {
#pragma GCC unroll 3
    for (int v = 0; v < V; ++v) x[v] = S::load(image + offsets[t] + v * S::kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 3
      for (int v = 0; v < V; ++v) sums[r][v] += weights[r] * x[v];
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 3
    for (int v = 0; v < V; ++v) S::store(out + r * ldo + v * S::kLanes, sums[r][v]);
}

// Computes a tile of the weight gradient: R filters by C taps, summed over the positions of all samples.
template <class T, int R, int C>
void weight_tile(const DirectWeights& d, const char* grads, const char* images, const int32_t* offsets, int64_t row,
                 int64_t tap, T* out) {
  using S = Simd<T>;
  typename S::Vector sums[R][C] = {};
  int64_t row_of[R], offset_of[C];  // the last filters and taps are repeated if the tile extends beyond the matrix
  for (int r = 0; r < R; ++r) row_of[r] = (row + r < d.rows ? row + r : d.rows - 1) * d.columns;
  for (int c = 0; c < C; ++c) offset_of[c] = offsets[tap + c < d.taps ? tap + c : d.taps - 1];
  for (int64_t n = 0; n < d.samples; ++n) {
    const T* g = reinterpret_cast<const T*>(grads) + n * d.grad_stride;
    const T* x = reinterpret_cast<const T*>(images) + n * d.image_stride;
    for (int64_t p = 0; p < d.columns; p += S::kLanes) {
      typename S::Vector gs[R];
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) gs[r] = S::load(g + row_of[r] + p);
#pragma GCC unroll 6
      for (int c = 0; c < C; ++c) {
        const typename S::Vector v = S::load(x + offset_of[c] + p);
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) sums[r][c] += gs[r] * v;
      }
    }
  }
  for (int r = 0; r < R && row + r < d.rows; ++r)
    for (int c = 0; c < C && tap + c < d.taps; ++c) {
      T lanes[S::kLanes];
      S::store(lanes, sums[r][c]);
      halve_lanes<Add, S::kLanes, 1>(lanes);
      out[(row + r) * d.taps + tap + c] = lanes[0];
    }
}

template <class T, int R, int C>
void weights_by_tiles(const DirectWeights& d, const char* grads, const char* images, const int32_t* offsets,
                      char* out) {
  for (int64_t row = 0; row < d.rows; row += R)
    for (int64_t tap = 0; tap < d.taps; tap += C)
      weight_tile<T, R, C>(d, grads, images, offsets, row, tap, reinterpret_cast<T*>(out));
}

template <class T>
void direct_weight(const DirectWeights& d, const char* grads, const char* images, const int32_t* offsets, char* out) {
  constexpr int R = kWide ? 4 : 3, C = kWide ? 6 : 4;
  const auto waste = [](int64_t n, int64_t step) { return (n + step - 1) / step * step - n; };
  const bool fewer_rows = waste(d.rows, R - 1) < waste(d.rows, R), fewer_taps = waste(d.taps, C - 1) < waste(d.taps, C);
  if (fewer_rows)
    (fewer_taps ? weights_by_tiles<T, R - 1, C - 1> : weights_by_tiles<T, R - 1, C>)(d, grads, images, offsets, out);
  else
    (fewer_taps ? weights_by_tiles<T, R, C - 1> : weights_by_tiles<T, R, C>)(d, grads, images, offsets, out);
}

template <class T>
using Tile = void (*)(int64_t, const T*, int64_t, const T*, const int32_t*, const T*, T*, int64_t);

template <class T, int... R>
constexpr Tile<T> tile_of(int64_t rows, int64_t vectors, std::integer_sequence<int, R...>) {
  constexpr Tile<T> table[][kVectors] = {{tile<T, R + 1, 1>, tile<T, R + 1, 2>, tile<T, R + 1, 3>}...};
  return table[rows - 1][vectors - 1];
}

template <class T>
void direct(int64_t rows, int64_t panel, int64_t taps, int64_t columns, const char* weights, const char* image,
            const int32_t* offsets, const char* bias, char* out, int64_t ldo) {
  constexpr int64_t kLanes = Simd<T>::kLanes, kStep = kVectors * kLanes;
  const T* x = reinterpret_cast<const T*>(image);
  for (int64_t p = 0; p < columns; p += kStep) {
    const int64_t vectors = columns - p < kStep ? (columns - p + kLanes - 1) / kLanes : kVectors;
    const T* w = reinterpret_cast<const T*>(weights);
    for (int64_t r = 0; r < rows; r += panel, w += panel * taps) {
      const int64_t height = rows - r < panel ? rows - r : panel, tiles = (height + kTileRows - 1) / kTileRows;
      for (int64_t t = 0, at = 0; t < tiles; ++t) {  // tiles of about the same height
        const int64_t end = (t + 1) * height / tiles;
        tile_of<T>(end - at, vectors, std::make_integer_sequence<int, kTileRows>())(
            taps, w + at, height, x + p, offsets, bias ? reinterpret_cast<const T*>(bias) + r + at : nullptr,
            reinterpret_cast<T*>(out) + (r + at) * ldo + p, ldo);
        at = end;
      }
    }
  }
}

}  // namespace

void fill_direct_convolution(Table& table) {
  table.direct[0] = direct<float>;
  table.direct[1] = direct<double>;
  table.direct_weight[0] = direct_weight<float>;
  table.direct_weight[1] = direct_weight<double>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
