// Matrix product, one thread: C = alpha * A * B + beta * C.
//
// Note [Gemm]
// The classic five loops (Goto, van de Geijn 2008). The innermost kernel keeps an R x 2 vectors tile of C in registers,
// broadcasts elements of A and streams rows of B. B is packed into panels as wide as the tile, A into panels of kRows
// rows; packing is left out where it would not pay: of A when there are few columns to reuse it for, of B when its rows
// are contiguous and there are few rows. Every element of C adds its products in the order of k, in blocks of kDepth,
// however the caller splits rows and columns over threads.
#include <algorithm>
#include <cstring>

#include "kernels/scratch.h"
#include "kernels/simd.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

// Rows of the register tile: with two vectors a row it takes most of the registers there are.
constexpr int kRows = kVectorBytes == 64 ? 12 : kVectorBytes == 32 ? 6 : 4;
constexpr int64_t kDepth = 256, kRowBlock = 20 * kRows, kColumnBlock = 2048;

template <class T>
inline constexpr int kColumns = 2 * Simd<T>::kLanes;

template <class T>
struct TileOutput {
  T* c;
  int64_t ldc, columns;  // columns actually there
  T alpha, beta;
};

template <class T>
FLAMBEAU_INLINE void store_vector(T* c, typename Simd<T>::Vector v, T beta) {
  using Vector = typename Simd<T>::Vector;
  if (beta == T(0))
    *reinterpret_cast<Vector*>(c) = v;
  else
    *reinterpret_cast<Vector*>(c) = v + beta * *reinterpret_cast<const Vector*>(c);
}

// R rows by two vectors. a: element (i, p) at a[i * row + p * step]; b: row p at b + p * ldb.
template <class T, int R>
void tile(int64_t depth, const T* __restrict a, int64_t row, int64_t step, const T* __restrict b, int64_t ldb,
          const TileOutput<T>& out) {
  using Vector = typename Simd<T>::Vector;
  constexpr int L = Simd<T>::kLanes;
  Vector low[R] = {}, high[R] = {};
  for (int64_t p = 0; p < depth; ++p) {
    const Vector b0 = *reinterpret_cast<const Vector*>(b), b1 = *reinterpret_cast<const Vector*>(b + L);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const T s = a[i * row];
      low[i] += s * b0;
      high[i] += s * b1;
    }
    a += step;
    b += ldb;
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
    T* c = out.c + i * out.ldc;
    if (FLAMBEAU_LIKELY(out.columns == 2 * L)) {
      store_vector(c, low[i] * out.alpha, out.beta);
      store_vector(c + L, high[i] * out.alpha, out.beta);
    } else {
      T line[2 * L];
      *reinterpret_cast<Vector*>(line) = low[i] * out.alpha;
      *reinterpret_cast<Vector*>(line + L) = high[i] * out.alpha;
      for (int64_t j = 0; j < out.columns; ++j) c[j] = out.beta == T(0) ? line[j] : line[j] + out.beta * c[j];
    }
  }
}

template <class T>
using TileFunction = void (*)(int64_t, const T*, int64_t, int64_t, const T*, int64_t, const TileOutput<T>&);

template <class T, int... R>
TileFunction<T> tile_of(int64_t rows, std::integer_sequence<int, R...>) {
  static constexpr TileFunction<T> table[] = {tile<T, R + 1>...};
  return table[rows - 1];
}

// The packed forms have constant strides, which the compiler folds into the addresses.
template <class T>
void full_tile_packed(int64_t depth, const T* a, const T* b, int64_t ldb, const TileOutput<T>& out) {
  tile<T, kRows>(depth, a, 1, kRows, b, ldb, out);
}

// b rows [0, depth) and columns [0, columns) into panels of kColumns, the last padded with zeros.
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

// a rows [0, rows) into panels of kRows; a last, shorter panel is packed as tightly.
template <class T>
void pack_a(T* to, const T* a, int64_t row, int64_t column, int64_t rows, int64_t depth) {
  for (int64_t i = 0; i < rows; i += kRows) {
    const int64_t height = rows - i < kRows ? rows - i : kRows;
    const T* from = a + i * row;
    if (row == 1 && height == kRows) {
      for (int64_t p = 0; p < depth; ++p) std::memcpy(to + p * kRows, from + p * column, kRows * sizeof(T));
    } else if (column == 1) {
      transpose(to, height, from, row, height, depth);
    } else {
      for (int64_t r = 0; r < height; ++r)
        for (int64_t p = 0; p < depth; ++p) to[p * height + r] = from[r * row + p * column];
    }
    to += depth * height;
  }
}

// B has at most as many columns as a vector has lanes, and few rows: they fit into a block of whole vectors.
constexpr int64_t kNarrowDepth = 32;
template <class T>
void narrow(int64_t m, int64_t n, int64_t k, T alpha, const T* a, const Matrix& as, const T* b, const Matrix& bs,
            T beta, T* c, int64_t ldc) {
  using Vector = typename Simd<T>::Vector;
  constexpr int L = Simd<T>::kLanes;
  alignas(64) T rows[kNarrowDepth][L];
  std::memset(rows, 0, size_t(k) * sizeof(rows[0]));
  for (int64_t p = 0; p < k; ++p)
    for (int64_t j = 0; j < n; ++j) rows[p][j] = b[p * bs.row + j * bs.column];
  for (int64_t i = 0; i < m; ++i) {
    Vector sum = {};
    for (int64_t p = 0; p < k; ++p) sum += a[i * as.row + p * as.column] * *reinterpret_cast<const Vector*>(rows[p]);
    alignas(64) T line[L];
    *reinterpret_cast<Vector*>(line) = sum * alpha;
    for (int64_t j = 0; j < n; ++j) c[i * ldc + j] = beta == T(0) ? line[j] : line[j] + beta * c[i * ldc + j];
  }
}

template <class T>
void small(int64_t m, int64_t n, int64_t k, T alpha, const T* a, const Matrix& as, const T* b, const Matrix& bs, T beta,
           T* c, int64_t ldc) {
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      T total = 0;
      for (int64_t p = 0; p < k; ++p) total += a[i * as.row + p * as.column] * b[p * bs.row + j * bs.column];
      c[i * ldc + j] = beta == T(0) ? alpha * total : alpha * total + beta * c[i * ldc + j];
    }
}

// y[j * stride] = alpha * sum_p x[p] * rows[j][p] + beta * y: one operand is a vector, the other has contiguous rows.
template <class T>
void row_dots(int64_t n, int64_t k, T alpha, const T* x, const T* rows, int64_t ld, T beta, T* y, int64_t stride) {
  using Vector = typename Simd<T>::Vector;
  constexpr int L = Simd<T>::kLanes;
  auto finish = [&](int64_t j, Vector sum, int64_t p) {
    T total = 0;
    for (int l = 0; l < L; ++l) total += sum[l];
    for (; p < k; ++p) total += x[p] * rows[j * ld + p];
    T& out = y[j * stride];
    out = beta == T(0) ? alpha * total : alpha * total + beta * out;
  };
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) {
    Vector s0 = {}, s1 = {}, s2 = {}, s3 = {};
    const T* r = rows + j * ld;
    int64_t p = 0;
    for (; p + L <= k; p += L) {
      const Vector v = *reinterpret_cast<const Vector*>(x + p);
      s0 += v * *reinterpret_cast<const Vector*>(r + p);
      s1 += v * *reinterpret_cast<const Vector*>(r + ld + p);
      s2 += v * *reinterpret_cast<const Vector*>(r + 2 * ld + p);
      s3 += v * *reinterpret_cast<const Vector*>(r + 3 * ld + p);
    }
    finish(j, s0, p);
    finish(j + 1, s1, p);
    finish(j + 2, s2, p);
    finish(j + 3, s3, p);
  }
  for (; j < n; ++j) {
    Vector s = {};
    int64_t p = 0;
    for (; p + L <= k; p += L)
      s += *reinterpret_cast<const Vector*>(x + p) * *reinterpret_cast<const Vector*>(rows + j * ld + p);
    finish(j, s, p);
  }
}

template <class T>
void multiply(int64_t m, int64_t n, int64_t k, T alpha, const T* a, const Matrix& as, const T* b, const Matrix& bs,
              T beta0, T* c, int64_t ldc) {
  constexpr int64_t W = kColumns<T>;
  static thread_local Scratch a_scratch, b_scratch;
  const bool direct_a = n <= 2 * W, direct_b_wanted = bs.column == 1 && m <= 4 * kRows;
  const auto rows_sequence = std::make_integer_sequence<int, kRows>();
  for (int64_t jc = 0; jc < n; jc += kColumnBlock) {
    const int64_t columns = n - jc < kColumnBlock ? n - jc : kColumnBlock;
    for (int64_t pc = 0; pc < k; pc += kDepth) {
      const int64_t depth = k - pc < kDepth ? k - pc : kDepth;
      const T beta = pc == 0 ? beta0 : T(1);
      const T* b_block = b + pc * bs.row + jc * bs.column;
      const int64_t direct_columns = direct_b_wanted ? columns / W * W : 0;
      T* packed_b = nullptr;
      if (direct_columns < columns) {
        packed_b =
            static_cast<T*>(b_scratch.get(size_t((columns - direct_columns + W - 1) / W * W * depth) * sizeof(T)));
        pack_b(packed_b, b_block + direct_columns * bs.column, bs.row, bs.column, depth, columns - direct_columns);
      }
      for (int64_t ic = 0; ic < m; ic += kRowBlock) {
        const int64_t rows = m - ic < kRowBlock ? m - ic : kRowBlock;
        const T* a_block = a + ic * as.row + pc * as.column;
        T* packed_a = nullptr;
        if (!direct_a) {
          packed_a = static_cast<T*>(a_scratch.get(size_t(kRowBlock * kDepth) * sizeof(T)));
          pack_a(packed_a, a_block, as.row, as.column, rows, depth);
        }
        for (int64_t j = 0; j < columns; j += W) {
          const bool direct_b = j < direct_columns;
          const T* b_panel = direct_b ? b_block + j : packed_b + (j - direct_columns) * depth;
          const int64_t ldb = direct_b ? bs.row : W;
          TileOutput<T> out{nullptr, ldc, columns - j < W ? columns - j : W, alpha, beta};
          for (int64_t i = 0; i < rows; i += kRows) {
            const int64_t height = rows - i < kRows ? rows - i : kRows;
            out.c = c + (ic + i) * ldc + jc + j;
            if (direct_a)
              tile_of<T>(height, rows_sequence)(depth, a_block + i * as.row, as.row, as.column, b_panel, ldb, out);
            else if (height == kRows)
              full_tile_packed(depth, packed_a + i * depth, b_panel, ldb, out);
            else
              tile_of<T>(height, rows_sequence)(depth, packed_a + i * depth, 1, height, b_panel, ldb, out);
          }
        }
      }
    }
  }
}

template <class T>
void gemm(int64_t m, int64_t n, int64_t k, double alpha, Matrix as, Matrix bs, double beta, void* c_data, int64_t ldc) {
  T* c = static_cast<T*>(c_data);
  const T *a = static_cast<const T*>(as.data), *b = static_cast<const T*>(bs.data);
  const int64_t work = m * n * k;
  const bool column = n == 1 || (m == 1 && bs.row == 1);  // nothing to fill a vector of results with
  if (k == 0 || work <= 48 || (column && work <= 512))
    return small<T>(m, n, k, T(alpha), a, as, b, bs, T(beta), c, ldc);
  if (n > 1 && n <= Simd<T>::kLanes && k <= kNarrowDepth && work <= 4096)
    return narrow<T>(m, n, k, T(alpha), a, as, b, bs, T(beta), c, ldc);
  if (m == 1 && as.column == 1 && bs.row == 1) return row_dots<T>(n, k, T(alpha), a, b, bs.column, T(beta), c, 1);
  if (n == 1 && bs.row == 1 && as.column == 1) return row_dots<T>(m, k, T(alpha), b, a, as.row, T(beta), c, ldc);
  multiply<T>(m, n, k, T(alpha), a, as, b, bs, T(beta), c, ldc);
}

}  // namespace

void fill_gemm(Table& table) {
  table.gemm[0] = gemm<float>;
  table.gemm[1] = gemm<double>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
