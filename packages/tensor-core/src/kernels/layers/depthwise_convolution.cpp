// Convolution of one channel with the taps of one filter.
//
// Note [Depthwise convolution]
// The channel is padded, and columns that are one stride apart are made adjacent (PaddedImage), so that a tap reads
// contiguous values for a row of the output. A register tile is a vector of columns by up to kTileRows rows of the
// output. Each tap takes one broadcast, and for each row a multiply-add with a memory operand. The last vector of a row
// ends at the end of the row and overlaps the previous one.
#include <cstring>

#include "kernels/bounds.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr int kTileRows = 8;

template <class T>
void split_columns(const char* row, int64_t n, char* even_data, char* odd_data) {
  using S = Simd<T>;
  constexpr int L = S::kLanes;
  const T* const x = reinterpret_cast<const T*>(row);
  T *const even = reinterpret_cast<T*>(even_data), *const odd = reinterpret_cast<T*>(odd_data);
  const auto split = [&](int64_t i) {  // for 2 * L columns, beginning with column 2 * i
    const auto a = S::load(x + 2 * i), b = S::load(x + 2 * i + L);
    S::store(even + i, every_second<0>(a, b));
    S::store(odd + i, every_second<1>(a, b));
  };
  int64_t i = 0;
  for (; i + L <= n / 2; i += L) split(i);
  if (i && i < n / 2) i = n / 2, split(i - L);  // the last vector overlaps the previous one
  for (; i < n / 2; ++i) even[i] = x[2 * i], odd[i] = x[2 * i + 1];
  if (n % 2) even[n / 2] = x[n - 1];
}

template <class T>
void limit(char* data, int64_t n, Bounds limits) {
  using S = Simd<T>;
  T* const x = reinterpret_cast<T*>(data);
  const T lowest = T(limits.lowest), highest = T(limits.highest);
  int64_t i = 0;
  for (; i + S::kLanes <= n; i += S::kLanes) S::store(x + i, bounded(S::load(x + i), lowest, highest));
  for (; i < n; ++i) x[i] = bounded(x[i], lowest, highest);
}

// Computes a tile of R rows by one vector of columns. `image` points to the input of the tile's first output element.
template <class T, int R>
void tile(const ChannelPlane& p, const T* __restrict image, const T* __restrict weights, T bias, T* out, int64_t ldo) {
  using S = Simd<T>;
  typename S::Vector sums[R];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) sums[r] = typename S::Vector{} + bias;
  for (int64_t t = 0; t < p.taps; ++t) {
    const T* const from = image + p.offsets[t];
    const typename S::Vector weight = typename S::Vector{} + weights[t];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) sums[r] += weight * S::load(from + r * p.image_row);
  }
  const T lowest = T(p.limits.lowest), highest = T(p.limits.highest);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) S::store(out + r * ldo, bounded(sums[r], lowest, highest));
}

template <class T>
using Tile = void (*)(const ChannelPlane&, const T*, const T*, T, T*, int64_t);

template <class T, int... R>
constexpr Tile<T> tile_of(int64_t rows, std::integer_sequence<int, R...>) {
  constexpr Tile<T> table[] = {tile<T, R + 1>...};
  return table[rows - 1];
}

// Computes an output with one row. The rows of a tile are consecutive vectors of this row.
template <class T>
void single_row(ChannelPlane p, const T* x, const T* w, T bias, T* y) {
  constexpr int64_t L = Simd<T>::kLanes;
  const int64_t vectors = p.columns / L;
  p.image_row = L;
  for (int64_t v = 0, height; v < vectors; v += height) {
    height = vectors - v < kTileRows ? vectors - v : kTileRows;
    tile_of<T>(height, std::make_integer_sequence<int, kTileRows>())(p, x + v * L, w, bias, y + v * L, L);
  }
  T line[L];
  const int64_t done = vectors * L;
  if (done == p.columns) return;
  tile<T, 1>(p, x + done, w, bias, line, L);
  std::memcpy(y + done, line, size_t(p.columns - done) * sizeof(T));
}

template <class T>
void depthwise(const ChannelPlane& p, const char* image, const char* weights, double bias, char* out) {
  constexpr int64_t L = Simd<T>::kLanes;
  const T *const x = reinterpret_cast<const T*>(image), *const w = reinterpret_cast<const T*>(weights);
  T* const y = reinterpret_cast<T*>(out);
  if (p.rows == 1) return single_row<T>(p, x, w, T(bias), y);
  for (int64_t row = 0; row < p.rows; row += kTileRows) {
    const int64_t height = p.rows - row < kTileRows ? p.rows - row : kTileRows;
    const Tile<T> run = tile_of<T>(height, std::make_integer_sequence<int, kTileRows>());
    const T* const from = x + row * p.image_row;
    T* const to = y + row * p.columns;
    if (p.columns < L) {
      T lines[kTileRows * L];
      run(p, from, w, T(bias), lines, L);
      for (int64_t r = 0; r < height; ++r)
        std::memcpy(to + r * p.columns, lines + r * L, size_t(p.columns) * sizeof(T));
      continue;
    }
    for (int64_t column = 0; column < p.columns; column += L) {
      const int64_t at = column + L <= p.columns ? column : p.columns - L;
      run(p, from + at, w, T(bias), to + at, p.columns);
    }
  }
}

}  // namespace

void fill_depthwise_convolution(NetworkTable& table) {
  table.split_columns[0] = split_columns<float>;
  table.split_columns[1] = split_columns<double>;
  table.limit[0] = limit<float>;
  table.limit[1] = limit<double>;
  table.depthwise[0] = depthwise<float>;
  table.depthwise[1] = depthwise<double>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
