// A warp's part of the scores of attention: 16 * kHigh rows, kColumns columns at a time. Rows are queries and columns
// are keys or, if kByKeys, rows are keys and columns are queries. kGeneral is required if there is a mask or if the
// scale is not positive; then scores are scaled before they are compared.
#pragma once

#include "device/layers/attention_mask.h"
#include "device/linalg/matrix_rows.h"

namespace flambeau::cuda {

template <int kHigh, int kColumns, bool kGeneral, bool kByKeys>
struct MatrixScores {
  static constexpr float kLowest = -INFINITY, kLog2E = 1.44269504f;
  using Values = float[kHigh][kColumns / 8][4];

  const AttentionArguments& a;
  const int64_t mask, first;  // mask: offset of the matrix's mask; first: the warp's first row
  const float factor;         // a factor that converts scores to exponents of 2

  MatrixScores(const AttentionArguments& a, int64_t batch, int64_t first)
      : a(a),
        mask(kGeneral ? member_offset(a, a.mask, batch) : 0),
        first(first),
        factor(kGeneral ? kLog2E : float(a.scale) * kLog2E) {}

  // These functions return the position of row or column n of a lane. A lane has two rows of every 16 rows, and two
  // columns of every 8 columns.
  static int row_of(int n) { return n * 8 + lane() / 4; }
  int64_t row(int n) const { return first + row_of(n); }
  static int column(int n) { return n / 2 * 8 + lane() % 4 * 2 + n % 2; }
  template <int kWide>
  static float& at(float (&sums)[kHigh][kWide][4], int row, int column) {
    return sums[row / 2][column / 2][row % 2 * 2 + column % 2];
  }

  // Returns true if the warp has rows and any of their scores in the columns from `begin` on is unmasked.
  bool any(int64_t begin) const {
    if (first >= (kByKeys ? a.keys : a.queries)) return false;
    return !a.causal || (kByKeys ? begin + kColumns > first : begin < first + 16 * kHigh);
  }
  bool all(int64_t begin) const {
    const int64_t end = begin + kColumns;
    if (kByKeys) return end <= a.queries && (!a.causal || begin + 1 >= first + 16 * kHigh);
    return end <= a.keys && (!a.causal || end <= first + 1);
  }
  static int within(int64_t column) { return column < 0 ? 0 : column < kColumns ? int(column) : kColumns; }

  // Sets hidden scores to the lowest number. Most tiles have no hidden scores and are not changed.
  void hide(Values& s, int64_t begin) const {
    if (!kGeneral && all(begin)) return;
#pragma unroll
    for (int r = 0; r < kHigh * 2; ++r) {
      const int64_t own = row(r), seen = a.causal && own < a.keys ? own + 1 : a.keys;
      const int from = within(kByKeys && a.causal ? own - begin : 0), to = within((kByKeys ? a.queries : seen) - begin);
#pragma unroll
      for (int c = 0; c < kColumns / 4; ++c) {
        float& value = at(s, r, c);
        if constexpr (kGeneral)
          value = score(a, mask, kByKeys ? begin + column(c) : own, kByKeys ? own : begin + column(c), value);
        else
          value = column(c) >= from && column(c) < to ? value : kLowest;
      }
    }
  }
};

}  // namespace flambeau::cuda
