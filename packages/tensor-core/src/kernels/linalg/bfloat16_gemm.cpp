// Matrix product of bfloat16 in one thread, for processors with instructions that multiply pairs of bfloat16 and add
// both products to a float.
//
// A is packed into panels of kTileRows rows and B into panels of kColumns columns. A word of a panel has two
// consecutive terms of a row or column. The panels of A for a block of rows and terms stay in the second-level cache,
// and a panel of B in the first-level cache. Each element of C adds its products in the order of the terms, in blocks
// whose length does not depend on how the caller divides rows and columns among threads.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "kernels/linalg/bfloat16_gemm.h"
#include "kernels/linalg/bfloat16_panels.h"
#include "kernels/scratch.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

using namespace bfloat16_tile;
constexpr int64_t kTileRows = 12, kPairs = 192, kRowBlock = 43 * kTileRows;
static_assert(kRows % kTileRows == 0);

struct Output {
  float* c;
  int64_t ldc, columns;
  bool adds;  // adds to C instead of overwriting it

  void put(int64_t row, int64_t column, __m512 sum) const {
    const int64_t left = std::clamp<int64_t>(columns - column, 0, 16);
    const __mmask16 mask = __mmask16((1u << left) - 1);
    float* const to = c + row * ldc + column;
    if (adds) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, to));
    _mm512_mask_storeu_ps(to, mask, sum);
  }
};

__m512bh load_words(const void* words) { return (__m512bh)_mm512_loadu_si512(words); }

// Computes R rows of C. Panel `a` has R words for each pair of terms.
template <int R>
void tile(int64_t pairs, const Word* a, const Word* b, const Output& out) {
  __m512 sums[R][2];
  for (int r = 0; r < R; ++r) sums[r][0] = sums[r][1] = _mm512_setzero_ps();
  for (int64_t p = 0; p < pairs; ++p, a += R, b += kColumns) {
    const __m512bh left = load_words(b), right = load_words(b + 16);
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
      const __m512bh factor = (__m512bh)_mm512_set1_epi32(int(a[r]));
      sums[r][0] = _mm512_dpbf16_ps(sums[r][0], factor, left);
      sums[r][1] = _mm512_dpbf16_ps(sums[r][1], factor, right);
    }
  }
  for (int r = 0; r < R; ++r) {
    out.put(r, 0, sums[r][0]);
    out.put(r, 16, sums[r][1]);
  }
}
template <int... rows>
void run_tile(std::integer_sequence<int, rows...>, int64_t height, int64_t pairs, const Word* a, const Word* b,
              const Output& out) {
  constexpr void (*tiles[])(int64_t, const Word*, const Word*, const Output&) = {tile<rows + 1>...};
  tiles[height - 1](pairs, a, b, out);
}

void multiply_panels(int64_t m, int64_t n, int64_t k, const Lines& a, const Lines& b, Output out) {
  auto* const panels = static_cast<Word*>(scratch(Scratch::ProductA, size_t(kRowBlock * kPairs) * sizeof(Word)));
  auto* const columns = static_cast<Word*>(scratch(Scratch::ProductB, size_t(kColumns * kPairs) * sizeof(Word)));
  float* const c = out.c;
  const bool adds = out.adds;
  for (int64_t p = 0; p < k; p += 2 * kPairs) {
    const int64_t terms = std::min(2 * kPairs, k - p), pairs = (terms + 1) / 2;
    out.adds = adds || p > 0;
    for (int64_t begin = 0; begin < m; begin += kRowBlock) {
      checkpoint();
      const int64_t end = std::min(m, begin + kRowBlock);
      for (int64_t i = begin; i < end; i += kTileRows) {
        const int64_t height = std::min(kTileRows, end - i);
        pack(panels + (i - begin) * pairs, height, {a.at(i, p), a.line, a.term}, height, terms);
      }
      for (int64_t j = 0; j < n; j += kColumns) {
        out.columns = std::min(kColumns, n - j);
        pack(columns, kColumns, {b.at(j, p), b.line, b.term}, out.columns, terms);
        for (int64_t i = begin; i < end; i += kTileRows) {
          out.c = c + i * out.ldc + j;
          run_tile(std::make_integer_sequence<int, int(kTileRows)>{}, std::min(kTileRows, end - i), pairs,
                   panels + (i - begin) * pairs, columns, out);
        }
      }
    }
  }
}

// Not _mm512_reduce_add_ps, for which GCC 12 warns of uninitialised variables.
float sum_of(__m512 v) {
  float lanes[16];
  _mm512_storeu_ps(lanes, v);
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

// Computes the products of M rows with `columns` columns, all of which are contiguous, as sums over vectors of terms.
template <int M, int columns>
void dots(int64_t k, const Lines& a, const Lines& b, const Output& out) {
  __m512 sums[M][columns];
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < columns; ++j) sums[i][j] = _mm512_setzero_ps();
  const auto add = [&](int64_t p, __mmask32 mask) __attribute__((always_inline)) {
    __m512bh row[M];
    for (int i = 0; i < M; ++i) row[i] = (__m512bh)_mm512_maskz_loadu_epi16(mask, a.at(i, p));
    for (int j = 0; j < columns; ++j) {
      const auto column = (__m512bh)_mm512_maskz_loadu_epi16(mask, b.at(j, p));
      for (int i = 0; i < M; ++i) sums[i][j] = _mm512_dpbf16_ps(sums[i][j], row[i], column);
    }
  };
  int64_t p = 0;
  for (; p + 32 <= k; p += 32) add(p, __mmask32(-1));
  if (p < k) add(p, __mmask32((uint32_t(1) << (k - p)) - 1));
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < columns; ++j) {
      float& to = out.c[i * out.ldc + j];
      to = sum_of(sums[i][j]) + (out.adds ? to : 0);
    }
}
template <int M>
void multiply_rows(int64_t n, int64_t k, const Lines& a, const Lines& b, Output out) {
  float* const c = out.c;
  const auto run_at = [&](int64_t j, auto run) {
    out.c = c + j;
    run(k, a, Lines{b.at(j, 0), b.line, b.term}, out);
  };
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) run_at(j, dots<M, 4>);
  for (; j < n; ++j) run_at(j, dots<M, 1>);
}

void gemm(int64_t m, int64_t n, int64_t k, const Matrix& a, const Matrix& b, float* c, int64_t ldc, bool adds) {
  const Lines rows{static_cast<const uint16_t*>(a.data), a.row, a.column},
      columns{static_cast<const uint16_t*>(b.data), b.column, b.row};
  const Output out{c, ldc, n, adds};
  // With few rows, packing B would take longer than the product.
  if (m > kFewRows || rows.term != 1 || columns.term != 1)
    return uses_amx() ? amx::multiply_bfloat16(m, n, k, a, b, c, ldc, adds)
                      : multiply_panels(m, n, k, rows, columns, out);
  constexpr void (*by_rows[])(int64_t, int64_t, const Lines&, const Lines&, Output) = {
      multiply_rows<1>, multiply_rows<2>, multiply_rows<3>, multiply_rows<4>};
  static_assert(std::size(by_rows) == kFewRows);
  by_rows[m - 1](n, k, rows, columns, out);
}

}  // namespace

void fill_bfloat16_gemm(Table& table) { table.bfloat16_gemm = gemm; }

}  // namespace flambeau::kernels::FLAMBEAU_ISA
