// Note [Attention] with tensor cores (Dao 2023, arXiv:2307.08691). Each warp of a block processes 16 * kHigh queries.
// The block loops over the keys and values, kKeys at a time. Scores and weights stay in registers, because the result
// of a product has the layout of the left operand of the next product. Values are copied to shared memory while the
// scores are computed, and the next keys are copied while the values are multiplied.
//
// T is float16, bfloat16, or float, which is multiplied as TF32. With float, the queries are in registers, because
// shared memory is too small for them and for tiles of many keys. Sizes are rounded up to multiples of 16. Rows begin
// at multiples of 16 bytes, and their lengths are multiples of 16 bytes. A module invokes FLAMBEAU_MATRIX_ATTENTION(T,
// kDepth, kWidth, kWarps, kHigh, kKeys, kGeneral, kParts); for kParts see attention.h.
#pragma once

#include "device/layers/matrix_scores.h"
#include "device/threads/kernel.h"

namespace flambeau::cuda {

template <class T, int kDepth, int kWidth, int kWarps, int kHigh, int kKeys, bool kGeneral, bool kParts>
struct MatrixAttention {
  using Arguments = AttentionArguments;
  using Member = MemberRows<T>;
  using Scores = MatrixScores<kHigh, kKeys, kGeneral, false>;
  static constexpr int kThreads = kWarps * 32, kRows = kWarps * 16 * kHigh;
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  static constexpr int kBlocks = 0;
#else  // minimum number of blocks per multiprocessor: see kBlocksByKeys in matrix_attention_derivative.h
  static constexpr int kBlocks =
      sizeof(T) == 2 && kHigh == 1 && !kGeneral && kDepth + kWidth > 128 && kDepth + kWidth <= 256 ? 3 : 0;
#endif
  static constexpr float kLowest = Scores::kLowest;
  using Sums = float[kHigh][kWidth / 8][4];

  // The largest score of each of the lane's rows, and the sum of the lane's own weights.
  struct Running {
    float most[kHigh * 2], total[kHigh * 2];
    Running() {
      for (int r = 0; r < kHigh * 2; ++r) most[r] = kLowest, total[r] = 0;
    }
  };

  // Converts scores to weights. Rescales the sums if the maximum has grown, which is rare.
  static void weigh(const Scores& scores, typename Scores::Values& s, Running& running, Sums& sums) {
    float scales[kHigh * 2];
    bool grown = false;
#pragma unroll
    for (int r = 0; r < kHigh * 2; ++r) {
      float largest = running.most[r];
#pragma unroll
      for (int c = 0; c < kKeys / 4; ++c) largest = fmaxf(largest, Scores::at(s, r, c));
      largest = over_four(largest, [](float x, float y) { return fmaxf(x, y); });
      const float top = largest == kLowest ? 0.0f : largest, from = top * scores.factor;
      // The maximum is subtracted before scaling, so that the result is exactly 1 if the maximum is unchanged. `from`
      // is rounded, so the result might differ from 1 if it were computed from `from`.
      const float scale = scales[r] = quick_exp2((running.most[r] - top) * scores.factor);
      grown |= scale != 1;
      float part = 0;
#pragma unroll
      for (int c = 0; c < kKeys / 4; ++c) {
        float& value = Scores::at(s, r, c);
        part += value = quick_exp2(value * scores.factor - from);
      }
      running.total[r] = running.total[r] * scale + part;
      running.most[r] = largest;
    }
    if (__any_sync(0xffffffffu, grown)) scale_rows(sums, scales);
  }
  static void scale_rows(Sums& sums, const float (&scales)[kHigh * 2]) {
#pragma unroll
    for (int r = 0; r < kHigh * 2; ++r)
#pragma unroll
      for (int c = 0; c < kWidth / 4; ++c) Scores::at(sums, r, c) *= scales[r];
  }

  static void finish(const Arguments& a, int64_t result, const Scores& scores, Running& running, Sums& sums) {
    float scales[kHigh * 2];
#pragma unroll
    for (int r = 0; r < kHigh * 2; ++r) {
      const float total = over_four(running.total[r], [](float x, float y) { return x + y; });
      scales[r] = total == 0 ? 0.0f : 1 / total;
      if (const int64_t row = scores.row(r); row < a.queries && lane() % 4 == 0)
        reinterpret_cast<float*>(a.logarithms)[result * a.queries + row] =
            running.most[r] * (kGeneral ? 1.0f : float(a.scale)) + log(total);
    }
    scale_rows(sums, scales);
    store_rows<T, std::conditional_t<kParts, float, T>>(a.out, result, scores.first, a.queries, a.width, sums);
  }

  static void forward(const Arguments& a) {
    const int64_t tiles = (a.queries + kRows - 1) / kRows, at = blockIdx.x % tiles;
    // The tiles with most visible keys are started first.
    const int64_t first = (a.causal ? tiles - 1 - at : at) * kRows;
    const KeyRange<kParts> range(a, blockIdx.x / tiles, a.causal && first + kRows < a.keys ? first + kRows : a.keys);
    const int own = warp() * 16 * kHigh;  // first row of the warp in the tile
    if constexpr (std::is_same_v<T, float>) {
      RowsInRegisters<16 * kHigh, kDepth> query{};
      attend(a, range, first + own, query, 0);
    } else {
      __shared__ MatrixRows<T, kRows, kDepth> query;
      attend(a, range, first + own, query, own);
    }
  }

  // Computes the results of a warp's queries, from row `first` on of the matrix and from row `own` on of `query`.
  template <class Query>
  static void attend(const Arguments& a, const KeyRange<kParts>& range, int64_t first, Query& query, int own) {
    __shared__ MatrixRows<T, kKeys, kDepth> keys;
    __shared__ MatrixRows<T, kKeys, kWidth> values;
    const int64_t batch = range.batch, limit = range.end;
    const Scores scores(a, batch, first);
    const Member key_rows(a, a.key, batch), value_rows(a, a.value, batch);
    Running running;
    Sums sums;
    clear(sums);
    if (range.begin < limit) {
      keys.template load<kThreads>(key_rows, range.begin, a.keys, a.depth);
      query.template load<kThreads>(Member(a, a.query, batch), first - own, a.queries, a.depth);
      commit_copies();
    }
    // This statement is outside the branch, so that the compiler starts all loads before it waits for the first one.
    if constexpr (std::is_same_v<T, float>) query.round(a.depth);
    for (int64_t key = range.begin; key < limit; key += kKeys) {
      const bool sees = scores.any(key);
      typename Scores::Values s;
      wait_for_copies();
      keys.template round_copies<kThreads>();
      __syncthreads();
      values.template load<kThreads>(value_rows, key, a.keys, a.width);
      commit_copies();
      if (sees) {
        clear(s);
        multiply_rows(s, query, own, keys);
        scores.hide(s, key);
        weigh(scores, s, running, sums);
      }
      wait_for_copies();
      values.template round_copies<kThreads>();
      __syncthreads();
      if (key + kKeys < limit) {
        keys.template load<kThreads>(key_rows, key + kKeys, a.keys, a.depth);
        commit_copies();
      }
      if (sees) add_weighted(sums, s, values);
    }
    finish(a, range.result, scores, running, sums);
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_MATRIX_ATTENTION(...)                                                            \
  using AttentionOf = flambeau::cuda::MatrixAttention<__VA_ARGS__>;                               \
  FLAMBEAU_COOPERATIVE_KERNEL(forward, flambeau::cuda::AttentionArguments, AttentionOf::kThreads, \
                              AttentionOf::kBlocks) {                                             \
    AttentionOf::forward(a);                                                                      \
  }
