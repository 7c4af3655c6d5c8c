// Matrix product, one thread: C = alpha * A * B + beta * C.
//
// Note [Gemm]
// The classic five loops (Goto, van de Geijn 2008). The innermost kernel keeps an R x 2 vectors tile of C in registers,
// broadcasts elements of A and streams rows of B. B is packed into panels as wide as the tile, A into panels of kRows
// rows; packing is left out where it would not pay: of A when there are few columns to reuse it for, of B when its rows
// are contiguous and there are few rows. B may also be a matrix that lies nowhere, whose panels are gathered: Note
// [Implicit unfolding] in operators/implicit_convolution.cpp. What of A is packed at a time stays in the second-level
// cache, a panel of B in the first or second; what comes next is fetched meanwhile. Every element of C adds its
// products in the order of k, in blocks of kDepth, however the caller splits rows and columns over threads.
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/gemm_panels.h"
#include "kernels/gemm_tile.h"
#include "kernels/scratch.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr int64_t kColumnBlock = 2048;

// Rows of A that are packed at a time: as many as half of the second-level cache holds.
template <class T>
int64_t row_block() {
  static const int64_t rows = [] {
    const long cache = std::clamp(sysconf(_SC_LEVEL2_CACHE_SIZE), 256L << 10, 2L << 20);
    return int64_t(cache) / 2 / (kDepth * int64_t(sizeof(T))) / kRows * kRows;
  }();
  return rows;
}

// B has fewer columns than a vector has lanes, and few rows: they fit into a block of whole vectors.
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
  constexpr int64_t kSide = 4;  // sums that do not wait for one another
  for (int64_t first = 0; first < m; first += kSide) {
    const T* of[kSide];
    for (int64_t i = 0; i < kSide; ++i) of[i] = a + (first + i < m ? first + i : m - 1) * as.row;
    Vector sums[kSide] = {};
    for (int64_t p = 0; p < k; ++p)
#pragma GCC unroll 4
      for (int64_t i = 0; i < kSide; ++i) sums[i] += of[i][p * as.column] * *reinterpret_cast<const Vector*>(rows[p]);
    for (int64_t i = 0; i < kSide && first + i < m; ++i) {
      alignas(64) T line[L];
      *reinterpret_cast<Vector*>(line) = sums[i] * alpha;
      T* to = c + (first + i) * ldc;
      for (int64_t j = 0; j < n; ++j) to[j] = beta == T(0) ? line[j] : line[j] + beta * to[j];
    }
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

// y[j * stride] = alpha * sum_p x[p * step] * rows[p][j] + beta * y: the rows are read once, as they lie, several at a
// time, and added up in a block that stays in the first cache.
template <class T>
void weighted_rows(int64_t n, int64_t k, T alpha, const T* x, int64_t step, const T* rows, int64_t ld, T beta0, T* y,
                   int64_t stride) {
  constexpr int64_t kBlock = 1024;
  alignas(64) T sums[kBlock];
  for (int64_t first = 0; first < n; first += kBlock, rows += kBlock, y += kBlock * stride) {
    const int64_t count = n - first < kBlock ? n - first : kBlock;
    for (int64_t pc = 0; pc < k; pc += kDepth) {
      const int64_t last = k - pc < kDepth ? k : pc + kDepth;
      std::fill(sums, sums + count, T(0));
      int64_t p = pc;
      for (; p + 8 <= last; p += 8) {
        const T *r = rows + p * ld, *v = x + p * step;
        const T v0 = v[0], v1 = v[step], v2 = v[2 * step], v3 = v[3 * step], v4 = v[4 * step], v5 = v[5 * step],
                v6 = v[6 * step], v7 = v[7 * step];
        const T *r1 = r + ld, *r2 = r1 + ld, *r3 = r2 + ld, *r4 = r3 + ld, *r5 = r4 + ld, *r6 = r5 + ld, *r7 = r6 + ld;
#pragma GCC ivdep
        for (int64_t j = 0; j < count; ++j) {
          T sum = sums[j] + v0 * r[j];
          sum += v1 * r1[j];
          sum += v2 * r2[j];
          sum += v3 * r3[j];
          sum += v4 * r4[j];
          sum += v5 * r5[j];
          sum += v6 * r6[j];
          sums[j] = sum + v7 * r7[j];
        }
      }
      for (; p < last; ++p) {
        const T *r = rows + p * ld, v = x[p * step];
#pragma GCC ivdep
        for (int64_t j = 0; j < count; ++j) sums[j] += v * r[j];
      }
      const T beta = pc == 0 ? beta0 : T(1);
      for (int64_t j = 0; j < count; ++j) {
        T& out = y[j * stride];
        out = beta == T(0) ? alpha * sums[j] : alpha * sums[j] + beta * out;
      }
    }
  }
}

template <class T, class B>
void multiply(int64_t m, int64_t n, int64_t k, T alpha, const T* a, const Matrix& as, const B& b, T beta0, T* c,
              int64_t ldc) {
  constexpr int64_t W = kColumns<T>, L = W / 2;
  const bool direct_a = as.column == 1 && n <= 4 * W, direct_b = b.lies(m);
  for (int64_t jc = 0; jc < n; jc += kColumnBlock) {
    const int64_t columns = n - jc < kColumnBlock ? n - jc : kColumnBlock;
    for (int64_t pc = 0; pc < k; pc += kDepth) {
      const int64_t depth = k - pc < kDepth ? k - pc : kDepth;
      const T beta = pc == 0 ? beta0 : T(1);
      const int64_t direct = direct_b ? columns / L * L : 0, rest = columns - direct;
      T* packed_b = nullptr;
      if (rest > 0) {
        packed_b = static_cast<T*>(scratch(Scratch::ProductB, size_t((rest + W - 1) / W * W * depth + L) * sizeof(T)));
        b.pack(packed_b, pc, jc + direct, depth, rest);
      }
      const int64_t most = direct_a ? m : row_block<T>();
      for (int64_t ic = 0; ic < m; ic += most) {
        const int64_t rows = m - ic < most ? m - ic : most;
        const T* a_block = a + ic * as.row + pc * as.column;
        T* packed_a = nullptr;
        if (!direct_a) {
          packed_a = static_cast<T*>(scratch(Scratch::ProductA, size_t(most * kDepth) * sizeof(T)));
          pack_a(packed_a, a_block, as.row, as.column, rows, depth);
        }
        for (int64_t j = 0; j < columns;) {
          const bool lies = j < direct, two = lies ? j + W <= direct : columns - j > L;
          const T* b_panel = lies ? b.at(pc, jc + j) : packed_b + (j - direct) * depth;
          const int64_t ldb = lies ? b.row : W, width = two ? W : L;
          TileOutput<T> out{nullptr, ldc, columns - j < width ? columns - j : width, alpha, beta};
          for (int64_t i = 0; i < rows; i += kRows) {
            const int64_t height = rows - i < kRows ? rows - i : kRows;
            out.c = c + (ic + i) * ldc + jc + j;
            if (!direct_a && height == kRows) {
              (two ? tile<T, kRows, true, Rows::Packed>
                   : tile<T, kRows, false, Rows::Packed>)(depth, {packed_a + i * depth, 1}, b_panel, ldb, out);
            } else {
              const bool lies_a = as.column == 1;
              const TileRows<T> rows_a = {lies_a ? a_block + i * as.row : packed_a + i * depth,
                                          lies_a ? as.row : depth};
              tile_of<T, Rows::Lying>(height, two)(depth, rows_a, b_panel, ldb, out);
            }
          }
          j += width;
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
  if (n > 1 && n < Simd<T>::kLanes && k <= kNarrowDepth && work <= 4096)
    return narrow<T>(m, n, k, T(alpha), a, as, b, bs, T(beta), c, ldc);
  if (m == 1 && as.column == 1 && bs.row == 1) return row_dots<T>(n, k, T(alpha), a, b, bs.column, T(beta), c, 1);
  if (n == 1 && bs.row == 1 && as.column == 1) return row_dots<T>(m, k, T(alpha), b, a, as.row, T(beta), c, ldc);
  if (m == 1 && bs.column == 1 && n >= Simd<T>::kLanes)
    return weighted_rows<T>(n, k, T(alpha), a, as.column, b, bs.row, T(beta), c, 1);
  if (n == 1 && as.row == 1 && m >= Simd<T>::kLanes)
    return weighted_rows<T>(m, k, T(alpha), b, bs.row, a, as.column, T(beta), c, ldc);
  multiply(m, n, k, T(alpha), a, as, Stored<T>{b, bs.row, bs.column}, T(beta), c, ldc);
}

template <class T>
void gemm_runs(int64_t m, int64_t n, int64_t k, Matrix a, const RunsMatrix& b, double beta, void* c, int64_t ldc) {
  multiply(m, n, k, T(1), static_cast<const T*>(a.data), a, Gathered<T>{static_cast<const T*>(b.data), b}, T(beta),
           static_cast<T*>(c), ldc);
}

}  // namespace

void fill_gemm(Table& table) {
  table.gemm_runs[0] = gemm_runs<float>;
  table.gemm_runs[1] = gemm_runs<double>;
  table.gemm[0] = gemm<float>;
  table.gemm[1] = gemm<double>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
