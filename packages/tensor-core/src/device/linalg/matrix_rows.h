// Tiles of rows in shared memory, and products of such tiles by a warp with tensor cores. Note [Matrix units]
#pragma once

#include "device/layers/attention_mask.h"
#include "device/linalg/matrix_units.h"

namespace flambeau::cuda {

inline int lane() { return int(threadIdx.x) % 32; }
// Returns the index of the warp. The index is broadcast from a lane, so that the compiler knows that it is the same for
// the whole warp.
inline int warp() { return __shfl_sync(0xffffffffu, int(threadIdx.x) / 32, 0); }

// Combines a value with the values of the other lanes that have elements of the same rows.
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

// Rows in shared memory. float32 elements must be rounded to TF32.
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

  // Calls f(row, chunk) for each chunk that this thread copies.
  template <int kThreads, class F>
  static void each_chunk(F&& f) {
    constexpr int kAll = kLines * kChunks, kTurns = (kAll + kThreads - 1) / kThreads;
    constexpr bool kSteps = kThreads % kChunks == 0;  // all chunks of a thread are in one column
    const int thread = int(threadIdx.x);
#pragma unroll
    for (int s = 0; s < kTurns; ++s) {
      const int i = thread + s * kThreads;
      if (kAll % kThreads != 0 && i >= kAll) break;
      f(kSteps ? thread / kChunks + s * (kThreads / kChunks) : i / kChunks, kSteps ? thread % kChunks : i % kChunks);
    }
  }
  // Starts to copy the rows [first, first + kLines) of a matrix (rows, columns). Elements beyond the end of the matrix
  // become zeros.
  template <int kThreads>
  void load(const MemberRows<T>& member, int64_t first, int64_t rows, int64_t columns) {
    const int valid_rows = rows - first < kLines ? int(rows - first) : kLines, width = int(columns);
    const int stride = member.opaque_stride();
    const T* const from = member.data + first * stride;
    each_chunk<kThreads>([&](int r, int c) {
      copy_async(chunk(r, c), from + r * stride + c * kChunk, r < valid_rows && c * kChunk < width);
    });
  }
  // Rounds the float32 elements that this thread has copied. The copies must be complete.
  template <int kThreads>
  void round_copies() {
    if constexpr (std::is_same_v<T, float>)
      each_chunk<kThreads>([&](int r, int c) {
        float4& chunk_values = *reinterpret_cast<float4*>(chunk(r, c));
        float4 v = chunk_values;
        v.x = round_to_tf32(v.x), v.y = round_to_tf32(v.y), v.z = round_to_tf32(v.z), v.w = round_to_tf32(v.w);
        chunk_values = v;
      });
  }

  // Loads the fragment of a left matrix: 16 rows from r on, and two chunks along k from c on.
  void left(uint32_t (&words)[4], int r, int c) const { load_matrices(words, chunk(r + lane() % 16, c, lane() / 16)); }
  // Loads the fragments of two right matrices whose columns are the 16 rows from r on; k runs along the rows.
  void right_of_rows(uint32_t (&words)[4], int r, int c) const {
    load_matrices(words, chunk(r + lane() % 8 + lane() / 16 * 8, c, lane() / 8 % 2));
  }
  // Loads the fragments of two right matrices of 16 columns from column 8 w on; k runs along the columns, from row r
  // on. Note [Products of weights]
  void right_of_columns(uint32_t (&words)[4], int r, int w) const {
    if constexpr (std::is_same_v<T, float>) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const float* const two = chunk(r + lane() % 4 * 2 + half, w * 2, lane() / 8) + lane() / 4 % 2 * 2;
        const uint2 pair = *reinterpret_cast<const uint2*>(two);
        words[half] = pair.x, words[half + 2] = pair.y;
      }
    } else
      load_transposed(words, chunk(r + lane() % 16, w, lane() / 16));
  }
};

// kLines rows of a left matrix of float32 in the registers of one warp.
template <int kLines, int kSize>
struct RowsInRegisters {
  float fragments[kLines / 16][kSize / 8][4];

  // Calls f(element, row, column) for each element of this lane.
  template <class F>
  void each(F&& f) {
#pragma unroll
    for (int h = 0; h < kLines / 16; ++h)
#pragma unroll
      for (int p = 0; p < kSize / 8; ++p)
#pragma unroll
        for (int i = 0; i < 4; ++i)
          f(fragments[h][p][i], h * 16 + i % 2 * 8 + lane() / 4, p * 8 + i / 2 * 4 + lane() % 4);
  }
  // Loads the rows [first, first + kLines) of a matrix (rows, columns). Rows beyond the end of the matrix are copies of
  // its last row.
  template <int kThreads>
  void load(const MemberRows<float>& member, int64_t first, int64_t rows, int64_t columns) {
    const int stride = member.opaque_stride(), last_column = int(columns) - 1;
    const int64_t start = first < rows ? first : rows - 1;
    const int last_row = rows - start < kLines ? int(rows - start) - 1 : kLines - 1;
    const float* const from = member.data + start * stride;
    each([&](float& x, int row, int column) { x = from[min(row, last_row) * stride + min(column, last_column)]; });
  }
  // Rounds the elements to TF32. Elements beyond the end of a row become zeros.
  void round(int64_t columns) {
    each([&](float& x, int, int column) { x = column < int(columns) ? round_to_tf32(x) : 0.0f; });
  }
  // Copies the fragment of 16 rows from r on, and two chunks along k from c on, to `words`.
  void left(uint32_t (&words)[4], int r, int c) const {
#pragma unroll
    for (int i = 0; i < 4; ++i) words[i] = __float_as_uint(fragments[r / 16][c / 2][i]);
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

// Computes sums += left * right^T, with the rows of `left` from `row` on and the rows of `right` from `column` on.
template <int kHigh, int kWide, class Left, class T, int kColumns, int kDepth>
void multiply_rows(float (&sums)[kHigh][kWide][4], const Left& left, int row,
                   const MatrixRows<T, kColumns, kDepth>& right, int column = 0) {
#pragma unroll
  for (int p = 0; p < right.kChunks / 2; ++p) {
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

// Note [Products of weights]
// The weights are the result of an earlier product, in its register layout. For two-byte types this is the layout of
// the left operand of the next product. For float32, a lane has columns 2 t and 2 t + 1 of the weights, but the left
// operand needs k = t and k = t + 4. Since the order of k is free, row 2 t of the right matrix becomes its k = t, and
// row 2 t + 1 becomes its k = t + 4. The order of the columns is also free: column g of the two right matrices of a
// pair are columns 2 g and 2 g + 1 of `rows`, so that a lane reads both at once. Thus a lane's sums of a pair of
// matrices are four adjacent columns, from column 4 t of 16.

// Computes sums += weights * rows. Note [Products of weights]
template <class T, int kHigh, int kWide, int kLines, int kSize>
void add_weighted(float (&sums)[kHigh][kWide][4], const float (&weights)[kHigh][kLines / 8][4],
                  const MatrixRows<T, kLines, kSize>& rows) {
  constexpr int kDeep = 32 / sizeof(T);  // size of a product along k
#pragma unroll
  for (int p = 0; p < kLines / kDeep; ++p) {
    uint32_t left[kHigh][4], right[4];
#pragma unroll
    for (int h = 0; h < kHigh; ++h)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if constexpr (std::is_same_v<T, float>)
          left[h][i] = __float_as_uint(round_to_tf32(weights[h][p][i % 2 * 2 + i / 2]));
        else {
          const float* two = &weights[h][p * 2 + i / 2][i % 2 * 2];
          left[h][i] = pack<T>(two[0], two[1]);
        }
      }
#pragma unroll
    for (int w = 0; w < kWide; w += 2) {
      rows.right_of_columns(right, p * kDeep, w);
      multiply_pair<T>(sums, left, right, w);
    }
  }
}

template <int kCount>
struct alignas(kCount * sizeof(float)) ColumnGroup {
  float values[kCount];
};

// Calls put(offset, group) for each group of adjacent columns in a warp's sums, the results of add_weighted(). A group
// has four columns for float32 and two for two-byte types. The sums are the rows from `first` on of matrix `batch`,
// which has the shape (rows, columns); `columns` is a multiple of the size of a group.
template <class T, int kHigh, int kWide, class F>
void each_group(int64_t batch, int64_t first, int64_t rows, int64_t columns, const float (&sums)[kHigh][kWide][4],
                F&& put) {
  constexpr int kStep = std::is_same_v<T, float> ? 2 : 1;
#pragma unroll
  for (int h = 0; h < kHigh; ++h)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int64_t row = first + h * 16 + half * 8 + lane() / 4;
#pragma unroll
      for (int w = 0; w < kWide; w += kStep)
        if (const int column = w * 8 + lane() % 4 * 2 * kStep; row < rows && column < columns) {
          ColumnGroup<2 * kStep> group;
#pragma unroll
          for (int i = 0; i < 2 * kStep; ++i) group.values[i] = sums[h][w + i % kStep][half * 2 + i / kStep];
          put((batch * rows + row) * columns + column, group);
        }
    }
}
// Stores a warp's sums with the type To. T is the type of the operands of the product.
template <class T, class To, int kHigh, int kWide>
void store_rows(char* data, int64_t batch, int64_t first, int64_t rows, int64_t columns,
                const float (&sums)[kHigh][kWide][4]) {
  each_group<T>(batch, first, rows, columns, sums, [&](int64_t at, const auto& group) {
    To* const to = reinterpret_cast<To*>(data) + at;
    if constexpr (std::is_same_v<To, float>)
      *reinterpret_cast<std::decay_t<decltype(group)>*>(to) = group;
    else
      *reinterpret_cast<uint32_t*>(to) = pack<To>(group.values[0], group.values[1]);
  });
}

}  // namespace flambeau::cuda
