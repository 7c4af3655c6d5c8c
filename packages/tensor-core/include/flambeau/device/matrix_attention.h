// Note [Attention] on the matrix units of a GPU (Dao 2023, arXiv:2307.08691): each of a block's four warps has 16 *
// kHigh queries, and goes with the others through the keys and values, kKeys at a time. Scores and weights stay in
// registers, since what a warp has of a product is what it needs for the left matrix of the next. While a tile of keys
// is multiplied its values are on their way, and the other way around.
//
// Sizes are rounded up to multiples of 16; rows are multiples of 16 bytes long, and begin at such. A unit says
// FLAMBEAU_MATRIX_ATTENTION(T, kDepth, kWidth, kHigh, kKeys, kGeneral), the
// last where there is a mask, or a scale that is not positive: scores are scaled before they are compared.
#pragma once

#include "flambeau/device/attention_mask.h"
#include "flambeau/device/kernel.h"
#include "flambeau/device/matrix_rows.h"

namespace flambeau::cuda {

template <class T, int kDepth, int kWidth, int kHigh, int kKeys, bool kGeneral>
struct MatrixAttention {
  using Arguments = AttentionArguments;
  static constexpr int kRows = kMatrixThreads / 32 * 16 * kHigh;
  using Scores = float[kHigh][kKeys / 8][4];
  using Sums = float[kHigh][kWidth / 8][4];
  static constexpr float kLowest = -INFINITY, kLog2E = 1.44269504f;

  // What a lane knows of its rows: two of every 16.
  struct State {
    float most[kHigh][2], total[kHigh][2];  // the latter of this lane's own scores
    float factor;                           // from scores to exponents of 2
    int64_t mask, first;                    // first: row of the warp
    int64_t row(int h, int half) const { return first + h * 16 + half * 8 + lane() / 4; }
  };

  // What is not seen of the keys from `key` on; most tiles are seen as a whole.
  static void hide(const Arguments& a, const State& state, int64_t key, Scores& s) {
    if (!kGeneral && key + kKeys <= a.keys && (!a.causal || key + kKeys <= state.first + 1)) return;
#pragma unroll
    for (int h = 0; h < kHigh; ++h)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int64_t row = state.row(h, half), end = a.causal && row < a.keys ? row + 1 : a.keys;
        const int seen = end - key < kKeys ? int(end - key) : kKeys;
#pragma unroll
        for (int c = 0; c < kKeys / 4; ++c) {
          const int column = c / 2 * 8 + lane() % 4 * 2 + c % 2;
          float& own = s[h][c / 2][half * 2 + c % 2];
          if constexpr (kGeneral)
            own = score(a, state.mask, row, key + column, own);
          else
            own = column < seen ? own : kLowest;
        }
      }
  }

  // Scores to weights, with the sums so far scaled to the same maximum.
  static void weigh(State& state, Scores& s, Sums& sums) {
#pragma unroll
    for (int h = 0; h < kHigh; ++h)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float largest = state.most[h][half];
#pragma unroll
        for (int c = 0; c < kKeys / 4; ++c) largest = fmaxf(largest, s[h][c / 2][half * 2 + c % 2]);
        largest = over_four(largest, [](float x, float y) { return fmaxf(x, y); });
        const float from = largest == kLowest ? 0.0f : largest * state.factor;
        const float scale = quick_exp2(state.most[h][half] * state.factor - from);
        float part = 0;
#pragma unroll
        for (int c = 0; c < kKeys / 4; ++c) {
          float& score = s[h][c / 2][half * 2 + c % 2];
          part += score = quick_exp2(score * state.factor - from);
        }
        state.total[h][half] = state.total[h][half] * scale + part;
        state.most[h][half] = largest;
#pragma unroll
        for (int c = 0; c < kWidth / 4; ++c) sums[h][c / 2][half * 2 + c % 2] *= scale;
      }
  }

  static void finish(const Arguments& a, int64_t batch, State& state, Sums& sums) {
#pragma unroll
    for (int h = 0; h < kHigh; ++h)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const float total = over_four(state.total[h][half], [](float x, float y) { return x + y; });
        const float scale = total == 0 ? 0.0f : 1 / total, unit = kGeneral ? 1.0f : float(a.scale);
        const int64_t row = state.row(h, half);
        if (row < a.queries && lane() % 4 == 0)
          reinterpret_cast<float*>(a.logarithms)[batch * a.queries + row] = state.most[h][half] * unit + log(total);
#pragma unroll
        for (int c = 0; c < kWidth / 4; ++c) sums[h][c / 2][half * 2 + c % 2] *= scale;
      }
    store_rows<T>(a.out, batch, state.first, a.queries, a.width, sums);
  }

  static void forward(const Arguments& a) {
    __shared__ MatrixRows<T, kRows, kDepth> query;
    __shared__ MatrixRows<T, kKeys, kDepth> keys;
    __shared__ MatrixRows<T, kKeys, kWidth> values;
    const int64_t tiles = (a.queries + kRows - 1) / kRows, batch = blockIdx.x / tiles, at = blockIdx.x % tiles;
    const int64_t first = (a.causal ? tiles - 1 - at : at) * kRows;  // those that see most begin first
    const int64_t limit = a.causal && first + kRows < a.keys ? first + kRows : a.keys;
    const int own = int(threadIdx.x) / 32 * 16 * kHigh;  // the warp's first row of the tile
    State state;
    state.factor = kGeneral ? kLog2E : float(a.scale) * kLog2E;
    state.mask = kGeneral ? mask_offset(a, batch) : 0, state.first = first + own;
    Sums sums;
    clear(sums);
    for (int h = 0; h < kHigh; ++h)
      for (int half = 0; half < 2; ++half) state.most[h][half] = kLowest, state.total[h][half] = 0;
    if (limit > 0) {
      query.template load<kMatrixThreads>(a.query, batch, first, a.queries, a.depth);
      keys.template load<kMatrixThreads>(a.key, batch, 0, a.keys, a.depth);
      commit_copies();
    }
    for (int64_t key = 0; key < limit; key += kKeys) {
      const bool sees = !a.causal || key < state.first + 16 * kHigh;  // the same for the whole warp
      Scores s;
      wait_for_copies();
      __syncthreads();
      values.template load<kMatrixThreads>(a.value, batch, key, a.keys, a.width);
      commit_copies();
      if (sees) {
        clear(s);
        multiply_rows(s, query, own, keys);
        hide(a, state, key, s);
        weigh(state, s, sums);
      }
      wait_for_copies();
      __syncthreads();
      if (key + kKeys < limit) {
        keys.template load<kMatrixThreads>(a.key, batch, key + kKeys, a.keys, a.depth);
        commit_copies();
      }
      if (sees) add_weighted(sums, s, values);
    }
    finish(a, batch, state, sums);
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_MATRIX_ATTENTION(...)                                                                       \
  using MatrixAttentionOf = flambeau::cuda::MatrixAttention<__VA_ARGS__>;                                    \
  FLAMBEAU_COOPERATIVE_KERNEL(forward, flambeau::cuda::AttentionArguments, flambeau::cuda::kMatrixThreads) { \
    MatrixAttentionOf::forward(a);                                                                           \
  }
