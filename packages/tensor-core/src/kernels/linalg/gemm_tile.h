// The register tile of a product. Note [Gemm] in kernels/linalg/blocked_product.h.
#pragma once

#include <utility>

#include "kernels/bounds.h"
#include "kernels/linalg/gemm_panels.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// Number of terms that are summed in registers, so that a panel of B and one of A share the first-level cache.
template <class T>
inline constexpr int64_t kDepth = sizeof(T) == 4 ? 256 : 192;

template <class T>
struct TileOutput {
  T* c;
  int64_t ldc, columns;  // columns: number of the tile's columns that are inside C
  T alpha, beta;
  // Biases, with one element for each row or column. They are added to the product if beta is 0 and the pointer is not
  // null.
  const T *row_bias = nullptr, *column_bias = nullptr;
  const Bounds* limits = nullptr;  // bounds of the result, or null; NaN stays NaN
};

// Layout of the rows of A. Packed: element (i, p) is a[i + p * kRows]. RowMajor: element (i, p) is a[i * row + p].
// InRuns: element (i, p) is a[i * row + offset], where the offsets for consecutive p are consecutive within a run.
// There is one additional run after the last.
enum class TileOrder { Packed, RowMajor, InRuns };
template <class T>
struct TileRows {
  const T* a;
  int64_t row;
  const Run* run = nullptr;
};

// Memory that a tile prefetches: pairs of vectors `row` elements apart. The tile of the next rows prefetches memory
// that begins `share` elements later.
template <class T>
struct PrefetchBlock {
  const T* at;
  int64_t row, share = 0;
};

// The columns of B that a tile reads: row p is at b + p * row, in a panel or in the matrix.
template <class T>
struct TileColumns {
  const T* b;
  int64_t row;
  PrefetchBlock<T> next;
};

// Completes and stores the sums of a tile if only some of its columns are inside C. Sum (i, j) is at i * row + j *
// column. All tiles share this function, because its loops would take much code in each tile.
template <class T>
[[gnu::noinline]] void store_elements(const T* sums, int64_t row, int64_t column, int64_t rows,
                                      const TileOutput<T>& out) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < out.columns; ++j) {
      T& c = out.c[i * out.ldc + j];
      const T own = out.row_bias ? out.row_bias[i] : out.column_bias ? out.column_bias[j] : T(0);
      const T sum = sums[i * row + j * column] * out.alpha;
      c = out.beta == T(0) ? sum + own : sum + out.beta * c;
      if (out.limits) c = bounded(c, T(out.limits->lowest), T(out.limits->highest));
    }
}

// Computes a tile of R rows by two vectors, or by one.
template <class T, int R, bool two, TileOrder rows>
void tile(int64_t depth, const TileRows<T>& in, const TileColumns<T>& columns, const TileOutput<T>& out) {
  using Vector = typename Simd<T>::Vector;
  constexpr int L = Simd<T>::kLanes, kWidth = two ? 2 * L : L;
  Vector low[R] = {}, high[R] = {};
  const T* __restrict b = columns.b, *next = columns.next.at;
  const int64_t ldb = columns.row, next_row = columns.next.row;
  const bool panel = ldb == kColumns<T>;
  // Four rows of an unpacked A are addressed from one pointer. This keeps the compiler from precomputing addresses,
  // which would not fit in the registers.
  int64_t row = in.row, thrice = 3 * row;
  const T* __restrict a = in.a;
  const Run* run = in.run;
  int64_t in_run = rows == TileOrder::InRuns ? run->length : 0;
  const T* const first = rows == TileOrder::InRuns ? a + run->offset : a;
  const T* quads[3] = {first, first + 4 * row, first + 8 * row};
  const auto step = [&]() __attribute__((always_inline)) {
    const Vector b0 = *reinterpret_cast<const Vector*>(b);
    Vector b1{};
    if constexpr (two) b1 = *reinterpret_cast<const Vector*>(b + L);
    if constexpr (rows == TileOrder::Packed)
      __builtin_prefetch(a + 32 * kRows);
    else
      asm("" : "+r"(row), "+r"(thrice), "+r"(quads[0]), "+r"(quads[1]), "+r"(quads[2]));
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const T& s = rows == TileOrder::Packed ? a[i] : quads[i / 4][i % 4 == 3 ? thrice : i % 4 * row];
      // Reads the element of A twice instead of keeping it. This takes fewer instructions to decode, and loads are not
      // the bottleneck.
      if (two && i % 2 == 1) {
        Simd<T>::add_multiple(low[i], b0, s);
        Simd<T>::add_multiple(high[i], b1, s);
      } else {
        const T factor = s;
        low[i] += factor * b0;
        if constexpr (two) high[i] += factor * b1;
      }
    }
    b += ldb;
    if constexpr (rows == TileOrder::Packed) a += kRows;
    if constexpr (rows != TileOrder::Packed)
      for (const T*& quad : quads) ++quad;
    if constexpr (rows == TileOrder::InRuns)
      if (--in_run == 0) {
        ++run;
        in_run = run->length;
        quads[0] = a + run->offset;
        quads[1] = quads[0] + 4 * row;
        quads[2] = quads[0] + 8 * row;
      }
  };
  int64_t left = depth;
  // Prefetches C, one row at a time; prefetching all at once would delay other loads. The target is the second-level
  // cache, since distant rows share few sets of the first-level cache.
#pragma GCC unroll 1
  for (int64_t i = 0; depth >= 5 * R && i < R; ++i, --left) {
    __builtin_prefetch(out.c + i * out.ldc, 0, 2);
    if (two) __builtin_prefetch(out.c + i * out.ldc + kWidth - 1, 0, 2);
    step();
  }
  if (panel) {
#pragma GCC unroll 1
    for (; left > 0; --left) {
      if (left % 8 == 0) {
        __builtin_prefetch(next, 0, 2);
        __builtin_prefetch(next + L, 0, 2);
        next += next_row;
      }
      step();
    }
  } else if (next_row == 0) {
#pragma GCC unroll 1
    for (; left > 0; --left) {
      __builtin_prefetch(b + 8 * ldb);
      if (two) __builtin_prefetch(b + 8 * ldb + L);
      step();
    }
  } else {
#pragma GCC unroll 1
    for (; left > 0; --left) {
      __builtin_prefetch(b + 8 * ldb);
      if (two) __builtin_prefetch(b + 8 * ldb + L);
      if (left % 4 == 0) {
        __builtin_prefetch(next, 0, 2);
        __builtin_prefetch(next + L, 0, 2);
        next += next_row;
      }
      step();
    }
  }
  const T alpha = out.alpha, beta = out.beta;
  const T *const row_bias = out.row_bias, *const column_bias = out.column_bias;
  T* const to = out.c;
  const int64_t ldc = out.ldc;
  if (FLAMBEAU_UNLIKELY(out.columns < kWidth)) {
    T lines[R][kWidth];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      *reinterpret_cast<Vector*>(lines[i]) = low[i];
      if constexpr (two) *reinterpret_cast<Vector*>(lines[i] + L) = high[i];
    }
    return store_elements(lines[0], kWidth, 1, R, out);
  }
  if (alpha != T(1)) {
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) low[i] *= alpha, high[i] *= alpha;
  }
  // Separate loops: a loop with all conditions would be compiled once for each combination of them.
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
    const Vector* const c = reinterpret_cast<const Vector*>(to + i * ldc);
    if (beta != T(0)) {
      low[i] += beta * c[0];
      if constexpr (two) high[i] += beta * c[1];
    } else if (row_bias) {
      low[i] += row_bias[i];
      if constexpr (two) high[i] += row_bias[i];
    } else if (column_bias) {
      low[i] += reinterpret_cast<const Vector*>(column_bias)[0];
      if constexpr (two) high[i] += reinterpret_cast<const Vector*>(column_bias)[1];
    }
  }
  if (out.limits) {
    const T lowest = T(out.limits->lowest), highest = T(out.limits->highest);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      low[i] = bounded(low[i], lowest, highest);
      if constexpr (two) high[i] = bounded(high[i], lowest, highest);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
    Vector* const c = reinterpret_cast<Vector*>(to + i * ldc);
    c[0] = low[i];
    if constexpr (two) c[1] = high[i];
  }
}

// Largest number of columns for which narrow tiles are used; more columns fill enough of a vector.
inline constexpr int kNarrowColumns = 3;

// Computes a tile of P panels of A by C columns. Each lane of a vector belongs to a row of A. Consecutive panels are
// `panel_stride` elements apart. The sums are equal to those of tile(). Up to a vector is read beyond the last panel.
template <class T, int P, int C>
void narrow_tile(int64_t depth, const T* a, int64_t panel_stride, const T* b, int64_t ldb, const TileOutput<T>& out) {
  using Vector = typename Simd<T>::Vector;
  constexpr int L = Simd<T>::kLanes, kVectors = (kRows + L - 1) / L;
  Vector sums[C][P][kVectors] = {};
  for (int64_t p = 0; p < depth; ++p, a += kRows, b += ldb) {
#pragma GCC unroll 16
    for (int q = 0; q < P; ++q)
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        const Vector rows = Simd<T>::load(a + q * panel_stride + v * L);
#pragma GCC unroll 16
        for (int j = 0; j < C; ++j) sums[j][q][v] += b[j] * rows;
      }
  }
  T columns[C][kVectors * L];
  TileOutput<T> panel = out;
#pragma GCC unroll 8
  for (int q = 0; q < P; ++q) {
    for (int j = 0; j < C; ++j)
      for (int v = 0; v < kVectors; ++v) Simd<T>::store(columns[j] + v * L, sums[j][q][v]);
    store_elements(columns[0], 1, kVectors * L, kRows, panel);
    panel.c += kRows * out.ldc;
    if (out.row_bias) panel.row_bias += kRows;
  }
}

// Runs narrow tiles of C columns for a number of panels: first as many panels at a time as keep the arithmetic units
// busy, then fewer.
template <class T, int C, int P = std::max(1, 8 / C / ((kRows + Simd<T>::kLanes - 1) / Simd<T>::kLanes))>
void narrow_tiles(int64_t panels, int64_t depth, const T* a, int64_t panel_stride, const T* b, int64_t ldb,
                  TileOutput<T> out) {
  for (; panels >= P; panels -= P) {
    narrow_tile<T, P, C>(depth, a, panel_stride, b, ldb, out);
    a += P * panel_stride;
    out.c += P * kRows * out.ldc;
    if (out.row_bias) out.row_bias += P * kRows;
  }
  if constexpr (P > 1) narrow_tiles<T, C, P / 2>(panels, depth, a, panel_stride, b, ldb, out);
}

template <class T>
using TileFunction = void (*)(int64_t, const TileRows<T>&, const TileColumns<T>&, const TileOutput<T>&);

template <class T, TileOrder rows>
TileFunction<T> tile_of(int64_t height, bool two) {
  return [&]<int... R>(std::integer_sequence<int, R...>) {
    static constexpr TileFunction<T> table[][2] = {{tile<T, R + 1, false, rows>, tile<T, R + 1, true, rows>}...};
    return table[height - 1][two];
  }(std::make_integer_sequence<int, kRows>());
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
