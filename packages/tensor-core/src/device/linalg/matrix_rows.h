// Tiles of rows in shared memory, and products of them by a warp with tensor cores. Note [Matrix units]
#pragma once

#include "device/layers/attention_mask.h"
#include "device/linalg/matrix_units.h"

namespace flambeau::cuda {

inline int lane() { return int(threadIdx.x) % 32; }
// Returns the number of the warp. It is broadcast from a lane, so that the compiler knows that it is the same for the
// whole warp.
inline int warp() { return __shfl_sync(0xffffffffu, int(threadIdx.x) / 32, 0); }

// Combines a value with those of the other lanes that have elements of the same rows.
template <class F>
float over_four(float x, F&& f) {
  x = f(x, __shfl_xor_sync(0xffffffffu, x, 1));
  return f(x, __shfl_xor_sync(0xffffffffu, x, 2));
}

template <int kHigh, int kWide>
void clear(float (&sums)[kHigh][kWide][4]) {
#pragma unroll
  for (int h = 0; h < kHigh; ++h)
#pragma unroll
    for (int w = 0; w < kWide; ++w)
#pragma unroll
      for (int e = 0; e < 4; ++e) sums[h][w][e] = 0;
}

template <class T, int kLines, int kSize>
struct alignas(16) MatrixRows {
  static constexpr int kChunk = 16 / sizeof(T), kChunks = kSize / kChunk;
  T elements[kLines][kSize];
  T* chunk(int r, int c) { return elements[r] + chunk_at<kChunks>(r, c) * kChunk; }
  const T* chunk(int r, int c, int more) const { return elements[r] + chunk_at<kChunks>(r, c, more) * kChunk; }

  void put(int r, int first, const T (&values)[kChunk]) {
    uint4 words;
    memcpy(&words, values, 16);
    *reinterpret_cast<uint4*>(chunk(r, first / kChunk)) = words;
  }

  // Starts to copy rows [first, first + kLines) of a matrix (rows, columns). Elements beyond its end become zeros.
  template <int kThreads>
  void load(const MemberRows<T>& member, int64_t first, int64_t rows, int64_t columns) {
    constexpr int kAll = kLines * kChunks, kTurns = (kAll + kThreads - 1) / kThreads;
    constexpr bool kSteps = kThreads % kChunks == 0;  // all chunks of a thread are in one column
    const int valid_rows = rows - first < kLines ? int(rows - first) : kLines, width = int(columns);
    const int stride = member.opaque_stride(), thread = int(threadIdx.x);
    const T* const from = member.data + first * stride;
#pragma unroll
    for (int s = 0; s < kTurns; ++s) {
      const int i = thread + s * kThreads;
      if (kAll % kThreads != 0 && i >= kAll) break;
      const int r = kSteps ? thread / kChunks + s * (kThreads / kChunks) : i / kChunks,
                c = kSteps ? thread % kChunks : i % kChunks;
      copy_async(chunk(r, c), from + r * stride + c * kChunk, r < valid_rows && c * kChunk < width);
    }
  }
  // Loads the fragment of a left matrix: 16 rows from r on, and two chunks along k from c on.
  void left(uint32_t (&words)[4], int r, int c) const { load_matrices(words, chunk(r + lane() % 16, c, lane() / 16)); }
  // Loads the fragments of two right matrices whose columns are the 16 rows from r on; k runs along the rows.
  void right_of_rows(uint32_t (&words)[4], int r, int c) const {
    load_matrices(words, chunk(r + lane() % 8 + lane() / 16 * 8, c, lane() / 8 % 2));
  }
  // Loads the fragments of two right matrices of 16 columns from chunk c on; k runs along the columns, from row r on.
  void right_of_columns(uint32_t (&words)[4], int r, int c) const {
    load_transposed(words, chunk(r + lane() % 16, c, lane() / 16));
  }
};

// Adds the products of kHigh left matrices and a right matrix of 16 columns to the sums of columns 8 w to 8 w + 15.
template <class T, int kHigh, int kWide>
void multiply_pair(float (&sums)[kHigh][kWide][4], const uint32_t (&left)[kHigh][4], const uint32_t (&right)[4],
                   int w) {
#pragma unroll
  for (int h = 0; h < kHigh; ++h) {
    multiply_accumulate<T>(sums[h][w], left[h], right[0], right[1]);
    multiply_accumulate<T>(sums[h][w + 1], left[h], right[2], right[3]);
  }
}

// Computes sums += left * right^T, with the rows of `left` from `row` on and those of `right` from `column` on.
template <int kHigh, int kWide, class T, int kRows, int kColumns, int kDepth>
void multiply_rows(float (&sums)[kHigh][kWide][4], const MatrixRows<T, kRows, kDepth>& left, int row,
                   const MatrixRows<T, kColumns, kDepth>& right, int column = 0) {
#pragma unroll
  for (int p = 0; p < left.kChunks / 2; ++p) {
    uint32_t from_left[kHigh][4], from_right[4];
#pragma unroll
    for (int h = 0; h < kHigh; ++h) left.left(from_left[h], row + h * 16, p * 2);
#pragma unroll
    for (int w = 0; w < kWide; w += 2) {
      right.right_of_rows(from_right, column + w * 8, p * 2);
      multiply_pair<T>(sums, from_left, from_right, w);
    }
  }
}

// Computes sums += weights * rows. The weights are the result of an earlier product, in its register layout.
template <class T, int kHigh, int kWide, int kLines, int kSize>
void add_weighted(float (&sums)[kHigh][kWide][4], const float (&weights)[kHigh][kLines / 8][4],
                  const MatrixRows<T, kLines, kSize>& rows) {
#pragma unroll
  for (int p = 0; p < kLines / 16; ++p) {
    uint32_t left[kHigh][4], right[4];
#pragma unroll
    for (int h = 0; h < kHigh; ++h)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float* two = &weights[h][p * 2 + i / 2][i % 2 * 2];
        left[h][i] = pack<T>(two[0], two[1]);
      }
#pragma unroll
    for (int w = 0; w < kWide; w += 2) {
      rows.right_of_columns(right, p * 16, w);
      multiply_pair<T>(sums, left, right, w);
    }
  }
}

// Calls put(offset, pair) for each pair of adjacent columns in a warp's sums. The sums are the rows from `first` on of
// matrix number `batch`, which has the shape (rows, columns) with an even number of columns.
template <int kHigh, int kWide, class F>
void each_pair(int64_t batch, int64_t first, int64_t rows, int64_t columns, const float (&sums)[kHigh][kWide][4],
               F&& put) {
#pragma unroll
  for (int h = 0; h < kHigh; ++h)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int64_t row = first + h * 16 + half * 8 + lane() / 4;
#pragma unroll
      for (int w = 0; w < kWide; ++w)
        if (const int column = w * 8 + lane() % 4 * 2; row < rows && column < columns)
          put((batch * rows + row) * columns + column, &sums[h][w][half * 2]);
    }
}
template <class T, int kHigh, int kWide>
void store_rows(char* data, int64_t batch, int64_t first, int64_t rows, int64_t columns,
                const float (&sums)[kHigh][kWide][4]) {
  each_pair(batch, first, rows, columns, sums, [&](int64_t at, const float* pair) {
    *reinterpret_cast<uint32_t*>(reinterpret_cast<T*>(data) + at) = pack<T>(pair[0], pair[1]);
  });
}
template <int kHigh, int kWide>
void store_sums(char* data, int64_t batch, int64_t first, int64_t rows, int64_t columns,
                const float (&sums)[kHigh][kWide][4]) {
  each_pair(batch, first, rows, columns, sums, [&](int64_t at, const float* pair) {
    float* const to = reinterpret_cast<float*>(data) + at;
    to[0] = pair[0], to[1] = pair[1];
  });
}

}  // namespace flambeau::cuda
