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
  bool adds;  // true: add to C; false: overwrite it

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

// Returns the sums of the lanes of four vectors. The intrinsics without `maskz` make GCC 12 warn of uninitialised
// variables.
__m128 sums_of(const __m512 (&v)[4]) {
  const auto pairs = [](__m512 x, __m512 y) {
    return _mm512_add_ps(_mm512_maskz_unpacklo_ps(0xFFFF, x, y), _mm512_maskz_unpackhi_ps(0xFFFF, x, y));
  };
  const __m512d first = _mm512_castps_pd(pairs(v[0], v[1])), second = _mm512_castps_pd(pairs(v[2], v[3]));
  const __m512 lanes = _mm512_add_ps(_mm512_castpd_ps(_mm512_maskz_unpacklo_pd(0xFF, first, second)),
                                     _mm512_castpd_ps(_mm512_maskz_unpackhi_pd(0xFF, first, second)));
  const __m256 half =
      _mm256_add_ps(_mm512_maskz_extractf32x8_ps(0xFF, lanes, 0), _mm512_maskz_extractf32x8_ps(0xFF, lanes, 1));
  return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

// Computes the products of M rows with up to four columns, all of which are contiguous, as sums over vectors of terms.
template <int M>
void dots(int64_t k, const Lines& a, const Lines& b, const Output& out) {
  constexpr int kTogether = 4;
  const int64_t last = out.columns - 1;
  const uint16_t* const columns[kTogether] = {b.at(0, 0), b.at(std::min<int64_t>(1, last), 0),
                                              b.at(std::min<int64_t>(2, last), 0), b.at(std::min<int64_t>(3, last), 0)};
  __m512 sums[M][kTogether];
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < kTogether; ++j) sums[i][j] = _mm512_setzero_ps();
  const auto add = [&](int64_t p, __mmask32 mask) __attribute__((always_inline)) {
    __m512bh row[M];
    for (int i = 0; i < M; ++i) row[i] = (__m512bh)_mm512_maskz_loadu_epi16(mask, a.at(i, p));
    for (int j = 0; j < kTogether; ++j) {
      const auto column = (__m512bh)_mm512_maskz_loadu_epi16(mask, columns[j] + p);
      for (int i = 0; i < M; ++i) sums[i][j] = _mm512_dpbf16_ps(sums[i][j], row[i], column);
    }
  };
  int64_t p = 0;
  for (; p + 32 <= k; p += 32) add(p, __mmask32(-1));
  if (p < k) add(p, __mmask32((uint32_t(1) << (k - p)) - 1));
  const auto mask = __mmask8((1u << std::min<int64_t>(kTogether, out.columns)) - 1);
  for (int i = 0; i < M; ++i) {
    float* const to = out.c + i * out.ldc;
    __m128 total = sums_of(sums[i]);
    if (out.adds) total = _mm_add_ps(total, _mm_maskz_loadu_ps(mask, to));
    _mm_mask_storeu_ps(to, mask, total);
  }
}

// Computes the products of M rows with up to 32 columns that are adjacent in memory, as a sum of weighted rows of B.
template <int M>
void weighted_rows(int64_t k, const Lines& a, const Lines& b, const Output& out) {
  const auto mask = __mmask32((uint64_t(1) << std::min<int64_t>(32, out.columns)) - 1);
  __m512 sums[M][2];
  for (int i = 0; i < M; ++i) sums[i][0] = sums[i][1] = _mm512_setzero_ps();
  for (int64_t p = 0; p < k; p += 2) {
    const bool both = p + 1 < k;
    const __m512i first = _mm512_maskz_loadu_epi16(mask, b.at(0, p)),
                  second = both ? _mm512_maskz_loadu_epi16(mask, b.at(0, p + 1)) : _mm512_setzero_si512();
    // Words of the columns 0-3, 8-11, 16-19 and 24-27, and words of the other columns.
    const auto low = (__m512bh)_mm512_maskz_unpacklo_epi16(__mmask32(-1), first, second),
               high = (__m512bh)_mm512_maskz_unpackhi_epi16(__mmask32(-1), first, second);
    for (int i = 0; i < M; ++i) {
      const auto factor = (__m512bh)_mm512_set1_epi32(int(word_of(*a.at(i, p), both ? *a.at(i, p + 1) : uint16_t(0))));
      sums[i][0] = _mm512_dpbf16_ps(sums[i][0], factor, low);
      sums[i][1] = _mm512_dpbf16_ps(sums[i][1], factor, high);
    }
  }
  const __m512i left = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23),
                right = _mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
  for (int i = 0; i < M; ++i) {
    out.put(i, 0, _mm512_permutex2var_ps(sums[i][0], left, sums[i][1]));
    out.put(i, 16, _mm512_permutex2var_ps(sums[i][0], right, sums[i][1]));
  }
}

// Calls run(k, a, columns of b, columns of C) for `step` columns at a time.
template <class F>
void by_columns(int64_t step, int64_t k, const Lines& a, const Lines& b, Output out, F run) {
  float* const c = out.c;
  for (int64_t j = 0, n = out.columns; j < n; j += step) {
    out.c = c + j;
    out.columns = n - j;
    run(k, a, Lines{b.at(j, 0), b.line, b.term}, out);
  }
}
template <int M>
void multiply_rows(int64_t k, const Lines& a, const Lines& b, const Output& out) {
  b.term == 1 ? by_columns(4, k, a, b, out, dots<M>) : by_columns(32, k, a, b, out, weighted_rows<M>);
}

// Returns true if the product has loops that do not pack B. With few rows, packing takes longer than the product. The
// result must not depend on the number of columns, because threads share the columns.
bool has_row_loops(int64_t m, const Lines& a, const Lines& b) {
  constexpr int64_t kMaxGap = 256;  // if rows of B were further apart, too many pages would be read at once
  return m <= kFewRows && a.term == 1 && (b.term == 1 || (b.line == 1 && b.term <= kMaxGap));
}

void gemm(int64_t m, int64_t n, int64_t k, const Matrix& a, const Matrix& b, float* c, int64_t ldc, bool adds) {
  const Lines rows{static_cast<const uint16_t*>(a.data), a.row, a.column},
      columns{static_cast<const uint16_t*>(b.data), b.column, b.row};
  const Output out{c, ldc, n, adds};
  if (!has_row_loops(m, rows, columns))
    return uses_amx() ? amx::multiply_bfloat16(m, n, k, a, b, c, ldc, adds)
                      : multiply_panels(m, n, k, rows, columns, out);
  constexpr void (*by_rows[])(int64_t, const Lines&, const Lines&, const Output&) = {
      multiply_rows<1>, multiply_rows<2>, multiply_rows<3>, multiply_rows<4>};
  static_assert(std::size(by_rows) == kFewRows);
  by_rows[m - 1](k, rows, columns, out);
}

}  // namespace

void fill_bfloat16_gemm(Table& table) { table.bfloat16_gemm = gemm; }

}  // namespace flambeau::kernels::FLAMBEAU_ISA
