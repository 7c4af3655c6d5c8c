// Tiles of a matrix product computed with tensor cores, by eight warps in two rows and four columns. Note [Tiles], Note
// [Matrix units]
#pragma once

#include "device/linalg/matrix_rows.h"

namespace flambeau::cuda {

template <class T, int kRows, int kColumns>
struct UnitTile {
  static constexpr int kChunk = 16 / sizeof(T), kDepth = 4 * kChunk;
  static constexpr int kHigh = kRows / 2 / 16, kWide = kColumns / 4 / 8;
  static constexpr int kBlocks = 0;  // there is no minimum number of blocks per multiprocessor
  using Left = MatrixRows<T, kRows, kDepth>;
  using Right = MatrixRows<T, kColumns, kDepth>;
  float sums[kHigh][kWide][4];

  UnitTile() { clear(sums); }
  static int row() { return int(threadIdx.x) / 128 * (kRows / 2); }
  static int column() { return int(threadIdx.x) / 32 % 4 * (kColumns / 4); }

  void multiply(const Left& left, const Right& right) { multiply_rows(sums, left, row(), right, column()); }
  // Calls f(row, column, sum) for each of this thread's sums. `row` and `column` are positions in the tile.
  template <class F>
  void each(F&& f) const {
#pragma unroll
    for (int h = 0; h < kHigh; ++h)
#pragma unroll
      for (int w = 0; w < kWide; ++w)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          f(row() + h * 16 + e / 2 * 8 + lane() / 4, column() + w * 8 + lane() % 4 * 2 + e % 2, sums[h][w][e]);
  }
};

}  // namespace flambeau::cuda
