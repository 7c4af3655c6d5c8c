// The panels that a product reads. Note [Gemm] in kernels/linalg/blocked_product.h.
//
// Note [Packed matrices]
// A matrix that takes part in many products can be packed once: each panel has all terms of kRows rows of A, or of
// kColumns columns of B. Each pass of a product reads its terms from the middle of a panel. Rows of A that do not fill
// a panel are read from the matrix; the last panel of B is padded with zeros. Products have the same results with and
// without packed matrices.
#pragma once

#include <algorithm>
#include <cstring>
#include <utility>

#include "flambeau/kernels/simd.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// Number of rows of the register tile. With two vectors per row, the tile takes most registers.
inline constexpr int kRows = kVectorBytes == 64 ? 12 : kVectorBytes == 32 ? 6 : 4;

template <class T>
inline constexpr int kColumns = 2 * Simd<T>::kLanes;

// Packs rows [0, depth) and columns [0, columns) of b into panels of kColumns columns. The last panel is padded with
// zeros.
template <class T>
void pack_b(T* to, const T* b, int64_t row, int64_t column, int64_t depth, int64_t columns) {
  constexpr int64_t W = kColumns<T>;
  for (int64_t j = 0; j < columns; j += W) {
    const int64_t width = columns - j < W ? columns - j : W;
    const T* from = b + j * column;
    if (column == 1 && width == W) {
      for (int64_t p = 0; p < depth; ++p) std::memcpy(to + p * W, from + p * row, W * sizeof(T));
    } else if (row == 1) {
      transpose(to, W, from, column, width, depth);
      for (int64_t p = 0; width < W && p < depth; ++p) std::fill(to + p * W + width, to + p * W + W, T(0));
    } else {
      for (int64_t p = 0; p < depth; ++p) {
        for (int64_t i = 0; i < width; ++i) to[p * W + i] = from[p * row + i * column];
        for (int64_t i = width; i < W; ++i) to[p * W + i] = T(0);
      }
    }
    to += depth * W;
  }
}

// Packs rows [0, rows) of a into panels of kRows rows. The rows of a last, shorter panel are stored one by one, or read
// in place if they are contiguous.
template <class T>
void pack_a(T* to, const T* a, int64_t row, int64_t column, int64_t rows, int64_t depth) {
  for (int64_t i = 0; i < rows; i += kRows) {
    const int64_t height = rows - i < kRows ? rows - i : kRows;
    const T* from = a + i * row;
    if (height < kRows) {
      if (column == 1) return;
      if (row == 1)
        transpose(to, depth, from, column, depth, height);
      else
        for (int64_t r = 0; r < height; ++r)
          for (int64_t p = 0; p < depth; ++p) to[r * depth + p] = from[r * row + p * column];
    } else if (row == 1) {
      for (int64_t p = 0; p < depth; ++p) std::memcpy(to + p * kRows, from + p * column, kRows * sizeof(T));
    } else if (column == 1) {
      transpose(to, kRows, from, row, kRows, depth);
    } else {
      for (int64_t r = 0; r < kRows; ++r)
        for (int64_t p = 0; p < depth; ++p) to[p * kRows + r] = from[r * row + p * column];
    }
    to += depth * height;
  }
}

// Forms of B. Stored: a matrix whose rows are read in place if is_read_in_place(m), where A has m rows, and are
// packed otherwise. PackedColumns: a packed matrix. Gathered: a matrix that is not stored as such and whose panels are
// gathered.
template <class T>
struct Stored {
  const T* data;
  int64_t row, column;

  static constexpr bool is_packed = false;

  bool is_read_in_place(int64_t m) const { return column == 1 && m <= 128; }
  bool has_rows() const { return column == 1; }
  const T* at(int64_t p, int64_t j) const { return data + p * row + j * column; }
  void pack(T* to, int64_t p, int64_t j, int64_t depth, int64_t columns) const {
    pack_b(to, at(p, j), row, column, depth, columns);
  }
};
template <class T>
struct PackedColumns {
  const T* panels;
  int64_t terms;
  static constexpr int64_t row = kColumns<T>;
  static constexpr bool is_packed = true;

  bool is_read_in_place(int64_t) const { return true; }
  bool has_rows() const { return true; }
  const T* at(int64_t p, int64_t j) const { return panels + j * terms + p * row; }  // j: first column of a panel
  void pack(T*, int64_t, int64_t, int64_t, int64_t) const {}
};
template <class T>
struct Gathered {
  const T* data;
  const RunsMatrix& m;
  static constexpr int64_t row = 0;
  static constexpr bool is_packed = false;

  bool is_read_in_place(int64_t) const { return false; }
  bool has_rows() const { return false; }
  const T* at(int64_t, int64_t) const { return nullptr; }
  void pack(T* to, int64_t p, int64_t j, int64_t depth, int64_t columns) const {
    constexpr int64_t W = kColumns<T>;
    const Run* const stop = m.runs + m.count;
    const Run* run = std::partition_point(m.runs, stop, [&](const Run& r) { return r.column + r.length <= j; });
    for (int64_t first = j; first < j + columns; first += W, to += depth * W) {
      const int64_t end = std::min(first + W, j + columns);
      Pieces pieces;
      while (run->column + run->length <= first) ++run;
      for (const Run* r = run; r < stop && r->column < end; ++r) {
        const int64_t begin = std::max(r->column, first), last = std::min(r->column + r->length, end);
        for (int64_t c = begin; c < last; c += Simd<T>::kLanes) pieces.add(data + r->offset + c - r->column, c - first);
      }
      if (end < first + W) std::fill(to, to + depth * W, T(0));
      copy(pieces, to, m.rows + p, depth, std::make_integer_sequence<int, kUnrolled>());
    }
  }

 private:
  static constexpr int kMaxPieces = kColumns<T> + 2, kUnrolled = kMaxPieces < 8 ? kMaxPieces : 8;
  struct Pieces {  // pieces of a panel's row, in complete vectors; each one overwrites the excess of the previous one
    const T* from[kMaxPieces];
    int64_t at[kMaxPieces];
    int count = 0;

    void add(const T* source, int64_t offset) {
      from[count] = source;
      at[count++] = offset;
    }
  };
  template <int N>  // number of pieces, or 0 for a number known at run time
  static void copy_rows(const Pieces& pieces, T* to, const int32_t* rows, int64_t depth) {
    const int count = N ? N : pieces.count;
    for (int64_t q = 0; q < depth; ++q, to += kColumns<T>) {
#pragma GCC unroll 8
      for (int i = 0; i < count; ++i) Simd<T>::store(to + pieces.at[i], Simd<T>::load(pieces.from[i] + rows[q]));
    }
  }
  template <int... N>
  static void copy(const Pieces& pieces, T* to, const int32_t* rows, int64_t depth, std::integer_sequence<int, N...>) {
    static constexpr decltype(&copy_rows<0>) table[] = {copy_rows<0>, copy_rows<N + 1>...};
    table[pieces.count <= kUnrolled ? pieces.count : 0](pieces, to, rows, depth);
  }
};

}  // namespace flambeau::kernels::FLAMBEAU_ISA
