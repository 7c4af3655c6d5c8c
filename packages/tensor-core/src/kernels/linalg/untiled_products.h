// Loops for products of matrices that do not fill the tiles of Note [Gemm].
#pragma once

#include <algorithm>
#include <cstring>

#include "flambeau/kernels/simd.h"
#include "kernels/linalg/gemm_tile.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// narrow() is for a B with at most kNarrowDepth rows and fewer columns than a vector has lanes. It copies B to a block
// with one vector per row.
inline constexpr int64_t kNarrowDepth = 32;
template <class T>
void narrow(int64_t m, int64_t n, int64_t k, T alpha, const T* a, const Matrix& as, const T* b, const Matrix& bs,
            T beta, T* c, int64_t ldc) {
  using Vector = typename Simd<T>::Vector;
  constexpr int L = Simd<T>::kLanes;
  alignas(64) T rows[kNarrowDepth][L];
  std::memset(rows, 0, size_t(k) * sizeof(rows[0]));
  for (int64_t p = 0; p < k; ++p)
    for (int64_t j = 0; j < n; ++j) rows[p][j] = b[p * bs.row + j * bs.column];
  constexpr int64_t kUnroll = 4;  // number of independent sums
  for (int64_t first = 0; first < m; first += kUnroll) {
    const T* of[kUnroll];
    for (int64_t i = 0; i < kUnroll; ++i) of[i] = a + (first + i < m ? first + i : m - 1) * as.row;
    Vector sums[kUnroll] = {};
    for (int64_t p = 0; p < k; ++p)
#pragma GCC unroll 4
      for (int64_t i = 0; i < kUnroll; ++i) sums[i] += of[i][p * as.column] * *reinterpret_cast<const Vector*>(rows[p]);
    for (int64_t i = 0; i < kUnroll && first + i < m; ++i) {
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

// Computes y[j * stride] = alpha * sum_p x[p] * rows[j][p] + beta * y[j * stride]: a product of a vector and a matrix
// with contiguous rows.
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

// Computes y[j * stride] = alpha * sum_p x[p * step] * rows[p][j] + beta0 * y[j * stride]. Reads the rows once, in
// memory order, several at a time. The sums are kept in a block that stays in the first-level cache.
template <class T>
void weighted_rows(int64_t n, int64_t k, T alpha, const T* x, int64_t step, const T* rows, int64_t ld, T beta0, T* y,
                   int64_t stride) {
  constexpr int64_t kBlock = 1024;
  alignas(64) T sums[kBlock];
  for (int64_t first = 0; first < n; first += kBlock, rows += kBlock, y += kBlock * stride) {
    const int64_t count = n - first < kBlock ? n - first : kBlock;
    for (int64_t pc = 0; pc < k; pc += kDepth<T>) {
      const int64_t last = k - pc < kDepth<T> ? k : pc + kDepth<T>;
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

}  // namespace flambeau::kernels::FLAMBEAU_ISA
