// Tiles of a matrix product computed without tensor cores: each thread computes squares of 4 x 4 elements. Note [Tiles]
#pragma once

#include "device/elementwise/halves.h"
#include "device/linalg/tile_arguments.h"
#include "device/threads/kernel.h"

namespace flambeau::cuda {

// The type in which products of elements of type T are summed.
template <class T>
struct Accumulator {
  using type = T;
};
template <>
struct Accumulator<float16> {
  using type = float;
};
template <>
struct Accumulator<bfloat16> {
  using type = float;
};
template <>
struct Accumulator<bool> {
  using type = uint64_t;
};
template <>
struct Accumulator<uint8_t> {
  using type = uint32_t;
};
template <>
struct Accumulator<int8_t> {
  using type = uint32_t;
};
template <>
struct Accumulator<uint16_t> {
  using type = uint32_t;
};
template <>
struct Accumulator<int16_t> {
  using type = uint32_t;
};
template <>
struct Accumulator<int32_t> {
  using type = uint32_t;
};
template <>
struct Accumulator<int64_t> {
  using type = uint64_t;
};

template <class V>
struct alignas(4 * sizeof(V) < 16 ? 4 * sizeof(V) : 16) Four {
  V values[4];
};

template <class V, int kRows, int kColumns>
struct Squares {
  static constexpr int kDepth = sizeof(V) > 8 || kRows > 64 ? 8 : 16, kChunk = 1;
  static constexpr int kHigh = kRows / 64, kWide = kColumns / 64;
  static constexpr int kPad = 4;
  // Two blocks of small tiles fit on a multiprocessor if the compiler unrolls the loop only a little. Otherwise the
  // compiler loads too many elements in advance and uses too many registers.
  static constexpr bool kTwo = kRows == 64 && sizeof(V) == 4;
  static constexpr int kBlocks = kTwo ? 2 : 0, kUnroll = kTwo ? 2 : kDepth;

  template <int kSize>
  struct Matrix {
    V rows[kDepth][kSize + kPad];
    void put(int i, int p, const V (&values)[1]) { rows[p][i] = values[0]; }
  };
  using Left = Matrix<kRows>;
  using Right = Matrix<kColumns>;
  V sums[kHigh * 4][kWide * 4];

  Squares() {
#pragma unroll
    for (int r = 0; r < kHigh * 4; ++r)
#pragma unroll
      for (int c = 0; c < kWide * 4; ++c) sums[r][c] = V(0);
  }
  static int row() { return int(threadIdx.x) / 16 * 4; }
  static int column() { return int(threadIdx.x) % 16 * 4; }

  // Loads the elements of a matrix that this thread multiplies: groups of four elements. The groups are 64 elements
  // apart.
  template <int kCount, int kSize>
  static void take(const V (&row)[kSize], int first, V (&to)[kCount * 4]) {
#pragma unroll
    for (int n = 0; n < kCount; ++n) {
      const auto four = *reinterpret_cast<const Four<V>*>(&row[n * 64 + first]);
#pragma unroll
      for (int i = 0; i < 4; ++i) to[n * 4 + i] = four.values[i];
    }
  }
  void multiply(const Left& left, const Right& right) {
#pragma unroll kUnroll
    for (int p = 0; p < kDepth; ++p) {
      V from_left[kHigh * 4], from_right[kWide * 4];
      take<kHigh>(left.rows[p], row(), from_left);
      take<kWide>(right.rows[p], column(), from_right);
#pragma unroll
      for (int r = 0; r < kHigh * 4; ++r)
#pragma unroll
        for (int c = 0; c < kWide * 4; ++c) sums[r][c] += from_left[r] * from_right[c];
    }
  }
  // Calls f(row, column, sum) for each of this thread's sums. `row` and `column` are positions in the tile.
  template <class F>
  void each(F&& f) const {
#pragma unroll
    for (int r = 0; r < kHigh * 4; ++r)
#pragma unroll
      for (int c = 0; c < kWide * 4; ++c) f(r / 4 * 64 + row() + r % 4, c / 4 * 64 + column() + c % 4, sums[r][c]);
  }
};

}  // namespace flambeau::cuda
