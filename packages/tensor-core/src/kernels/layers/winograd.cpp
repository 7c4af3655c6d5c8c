// The transforms of Note [Winograd] in operators/convolution/winograd_convolution.cpp.
#include <cstring>

#include "flambeau/kernels/simd.h"
#include "kernels/layers/networks.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

template <class T>
void winograd_input(const WinogradTiles& w, const char* image_data, char* out_data) {
  using S = Simd<T>;
  using Vector = typename S::Vector;
  const T* const image = reinterpret_cast<const T*>(image_data);
  T* const out = reinterpret_cast<T*>(out_data);
  for (int64_t i = 0; i < w.rows; ++i)
    for (int64_t j = 0; j < w.columns; j += S::kLanes) {
      Vector across[4][4];
#pragma GCC unroll 4
      for (int r = 0; r < 4; ++r) {
        const T *const even = image + (2 * i + r) * w.image_row + j, *const odd = even + w.odd_columns;
        const Vector d0 = S::load(even), d1 = S::load(odd), d2 = S::load(even + 1), d3 = S::load(odd + 1);
        across[r][0] = d0 - d2;
        across[r][1] = d1 + d2;
        across[r][2] = d2 - d1;
        across[r][3] = d1 - d3;
      }
      T* const to = out + i * w.columns + j;
#pragma GCC unroll 4
      for (int c = 0; c < 4; ++c) {
        S::store(to + c * w.value_stride, across[0][c] - across[2][c]);
        S::store(to + (4 + c) * w.value_stride, across[1][c] + across[2][c]);
        S::store(to + (8 + c) * w.value_stride, across[2][c] - across[1][c]);
        S::store(to + (12 + c) * w.value_stride, across[1][c] - across[3][c]);
      }
    }
}

template <class T>
void winograd_output(const WinogradTiles& w, const char* products, double bias, char* out_data) {
  using S = Simd<T>;
  using Vector = typename S::Vector;
  constexpr int L = S::kLanes;
  const T* const in = reinterpret_cast<const T*>(products);
  T* const out = reinterpret_cast<T*>(out_data);
  for (int64_t i = 0; i < w.rows; ++i)
    for (int64_t j = 0; j < w.columns; j += L) {
      const T* const from = in + i * w.columns + j;
      Vector down[2][4];
#pragma GCC unroll 4
      for (int c = 0; c < 4; ++c) {
        const Vector m0 = S::load(from + c * w.value_stride), m1 = S::load(from + (4 + c) * w.value_stride),
                     m2 = S::load(from + (8 + c) * w.value_stride), m3 = S::load(from + (12 + c) * w.value_stride);
        down[0][c] = m0 + m1 + m2;
        down[1][c] = m1 - m2 - m3;
      }
      const int64_t left = w.out_columns - 2 * j;
#pragma GCC unroll 2
      for (int r = 0; r < 2; ++r) {
        if (2 * i + r >= w.out_rows) break;
        const Vector even = down[r][0] + down[r][1] + down[r][2] + T(bias),
                     odd = down[r][1] - down[r][2] - down[r][3] + T(bias);
        T* const to = out + (2 * i + r) * w.out_columns + 2 * j;
        T line[2 * L];
        T* const row = left >= 2 * L ? to : line;
        S::store(row, in_turn<0>(even, odd));
        S::store(row + L, in_turn<L / 2>(even, odd));
        if (row == line) std::memcpy(to, line, size_t(left) * sizeof(T));
      }
    }
}

}  // namespace

void fill_winograd(NetworkTable& table) {
  table.winograd_input[0] = winograd_input<float>;
  table.winograd_input[1] = winograd_input<double>;
  table.winograd_output[0] = winograd_output<float>;
  table.winograd_output[1] = winograd_output<double>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
