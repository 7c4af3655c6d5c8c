// The derivative of matrix_attention.h. As in attention.h, there are two kernels: by_queries computes the gradient of
// the queries, and by_keys computes the gradients of the keys and values. Each warp processes 16 * kHigh rows of one
// operand, and the block loops over the other operand, kOther rows at a time. A tile consists of two matrices. One of
// them is copied while the other one is multiplied.
//
// A module invokes FLAMBEAU_MATRIX_ATTENTION_DERIVATIVE(T, kDepth, kWidth, kWarps, kHigh, kOther, kGeneral).
#pragma once

#include "device/layers/attention.h"
#include "device/layers/matrix_attention.h"

namespace flambeau::cuda {

template <class T, int kDepth, int kWidth, int kWarps, int kHigh, int kOther, bool kGeneral>
struct MatrixAttentionDerivative {
  using Arguments = AttentionArguments;
  using Member = MemberRows<T>;
  static constexpr int kThreads = kWarps * 32, kRows = kWarps * 16 * kHigh;
  // Minimum number of blocks of the kernel by_keys that must fit on a multiprocessor, or 0. It is the number that fits
  // in shared memory. Without this hint, the compiler uses so many registers that only two blocks fit.
  static constexpr int kBlocksByKeys = sizeof(T) == 4 && !kGeneral && kWarps == 4 && kDepth + kWidth > 64 ? 3 : 0;
  template <bool kByKeys>
  using Scores = MatrixScores<kHigh, kOther, kGeneral, kByKeys>;
  using Values = typename Scores<false>::Values;
  template <int kSize>
  using Sums = float[kHigh][kSize / 8][4];
  template <int kSize>
  using Own = MatrixRows<T, kRows, kSize>;
  template <int kSize>
  using Other = MatrixRows<T, kOther, kSize>;

  // The statistics of a query that the derivative reads: the logarithm to base 2 of the sum of its exponentials, and
  // its mean.
  struct Query {
    float logarithm, mean;
    Query() = default;
    // Reads row first + n, or any valid row if it does not exist.
    Query(const Arguments& a, int64_t batch, int64_t first, int n) {
      const int64_t at = batch * a.queries + first, remaining = a.queries - first;
      n = n < remaining ? n : 0;
      logarithm = (reinterpret_cast<const float*>(a.logarithms) + at)[n] * Scores<false>::kLog2E;
      mean = (reinterpret_cast<const float*>(a.means) + at)[n];
    }
    // Converts a score to its weight. Converts `product`, the gradient of the weight, to the gradient of the score
    // without the factor `scale`.
    void differentiate(float factor, float& s, float& product) const {
      s = kGeneral && s == Scores<false>::kLowest ? 0.0f : quick_exp2(s * factor - logarithm);
      product = s * (product - mean);
    }
  };

  template <int kSize>
  static void store(const Arguments& a, char* to, int64_t batch, int64_t first, int64_t rows, int64_t columns,
                    Sums<kSize>& sums, float scale) {
#pragma unroll
    for (int h = 0; h < kHigh; ++h)
#pragma unroll
      for (int w = 0; w < kSize / 8; ++w)
#pragma unroll
        for (int e = 0; e < 4; ++e) sums[h][w][e] *= scale;
    store_rows<T, T>(to, batch, first, rows, columns, sums);
  }

  static void by_queries(const Arguments& a) {
    __shared__ Own<kDepth> query;
    __shared__ Own<kWidth> grad;
    __shared__ Other<kDepth> keys;
    __shared__ Other<kWidth> values;
    const int64_t tiles = (a.queries + kRows - 1) / kRows, batch = blockIdx.x / tiles, tile = blockIdx.x % tiles;
    const int64_t first = (a.causal ? tiles - 1 - tile : tile) * kRows;
    const int64_t limit = a.causal && first + kRows < a.keys ? first + kRows : a.keys;
    const int own = warp() * 16 * kHigh;  // first row of the warp in the tile
    const Scores<false> scores(a, batch, first + own);
    const Member key_rows(a, a.key, batch), value_rows(a, a.value, batch);
    Query known[kHigh * 2];
    for (int r = 0; r < kHigh * 2; ++r) known[r] = Query(a, batch, first, own + scores.row_of(r));
    Sums<kDepth> sums;
    clear(sums);
    query.template load<kThreads>(Member(a, a.query, batch), first, a.queries, a.depth);
    grad.template load<kThreads>(Member(a, a.grad, batch), first, a.queries, a.width);
    values.template load<kThreads>(value_rows, 0, a.keys, a.width);
    commit_copies();
    keys.template load<kThreads>(key_rows, 0, a.keys, a.depth);
    commit_copies();
    wait_for_copies<1>();
    query.template round_copies<kThreads>(), grad.template round_copies<kThreads>();
    for (int64_t key = 0; key < limit; key += kOther) {
      const bool sees = scores.any(key);
      Values s, products;
      wait_for_copies<1>();
      values.template round_copies<kThreads>();
      __syncthreads();
      clear(products), clear(s);
      if (sees) multiply_rows(products, grad, own, values);
      wait_for_copies();
      keys.template round_copies<kThreads>();
      __syncthreads();
      values.template load<kThreads>(value_rows, key + kOther, a.keys, a.width);
      commit_copies();
      if (sees) {
        multiply_rows(s, query, own, keys);
        scores.hide(s, key);
#pragma unroll
        for (int r = 0; r < kHigh * 2; ++r)
#pragma unroll
          for (int c = 0; c < kOther / 4; ++c)
            known[r].differentiate(scores.factor, scores.at(s, r, c), scores.at(products, r, c));
        add_weighted(sums, products, keys);
      }
      __syncthreads();
      keys.template load<kThreads>(key_rows, key + kOther, a.keys, a.depth);
      commit_copies();
    }
    wait_for_copies();
    store<kDepth>(a, a.grad_query, batch, scores.first, a.queries, a.depth, sums, float(a.scale));
  }

  static void by_keys(const Arguments& a) {
    __shared__ Own<kDepth> keys;
    __shared__ Own<kWidth> values;
    __shared__ Other<kDepth> query;
    __shared__ Other<kWidth> grad;
    const int64_t tiles = (a.keys + kRows - 1) / kRows, batch = blockIdx.x / tiles, first = blockIdx.x % tiles * kRows;
    const int64_t begin = a.causal ? first / kOther * kOther : 0;
    const int own = warp() * 16 * kHigh;
    const Scores<true> scores(a, batch, first + own);
    const Member query_rows(a, a.query, batch), grad_rows(a, a.grad, batch);
    Sums<kDepth> key_sums;
    Sums<kWidth> value_sums;
    clear(key_sums), clear(value_sums);
    keys.template load<kThreads>(Member(a, a.key, batch), first, a.keys, a.depth);
    values.template load<kThreads>(Member(a, a.value, batch), first, a.keys, a.width);
    grad.template load<kThreads>(grad_rows, begin, a.queries, a.width);
    commit_copies();
    query.template load<kThreads>(query_rows, begin, a.queries, a.depth);
    commit_copies();
    wait_for_copies<1>();
    keys.template round_copies<kThreads>(), values.template round_copies<kThreads>();
    for (int64_t at = begin; at < a.queries; at += kOther) {
      const bool sees = scores.any(at);
      Values s, products;
      Query known[kOther / 4];
      for (int c = 0; c < kOther / 4; ++c) known[c] = Query(a, batch, at, scores.column(c));
      wait_for_copies<1>();
      grad.template round_copies<kThreads>();
      __syncthreads();
      clear(products), clear(s);
      if (sees) multiply_rows(products, values, own, grad);
      wait_for_copies();
      query.template round_copies<kThreads>();
      __syncthreads();
      if (sees) {
        multiply_rows(s, keys, own, query);
        scores.hide(s, at);
#pragma unroll
        for (int r = 0; r < kHigh * 2; ++r)
#pragma unroll
          for (int c = 0; c < kOther / 4; ++c)
            known[c].differentiate(scores.factor, scores.at(s, r, c), scores.at(products, r, c));
        add_weighted(value_sums, s, grad);
      }
      __syncthreads();
      grad.template load<kThreads>(grad_rows, at + kOther, a.queries, a.width);
      commit_copies();
      if (sees) add_weighted(key_sums, products, query);
      __syncthreads();
      query.template load<kThreads>(query_rows, at + kOther, a.queries, a.depth);
      commit_copies();
    }
    wait_for_copies();
    store<kDepth>(a, a.grad_key, batch, scores.first, a.keys, a.depth, key_sums, float(a.scale));
    store<kWidth>(a, a.grad_value, batch, scores.first, a.keys, a.width, value_sums, 1);
  }
};

}  // namespace flambeau::cuda

// by_keys computes two sums, so each of its warps processes only 16 rows.
#define FLAMBEAU_MATRIX_ATTENTION_DERIVATIVE(T, kDepth, kWidth, kWarps, kHigh, kOther, kGeneral)                      \
  using AttentionOf = flambeau::cuda::Attention<T, kDepth, kWidth, 16>;                                               \
  using ByQueries = flambeau::cuda::MatrixAttentionDerivative<T, kDepth, kWidth, kWarps, kHigh, kOther, kGeneral>;    \
  using ByKeys = flambeau::cuda::MatrixAttentionDerivative<T, kDepth, kWidth, kWarps, 1, kOther, kGeneral>;           \
  FLAMBEAU_ATTENTION_KERNEL(means)                                                                                    \
  FLAMBEAU_COOPERATIVE_KERNEL(by_queries, flambeau::cuda::AttentionArguments, ByQueries::kThreads) {                  \
    ByQueries::by_queries(a);                                                                                         \
  }                                                                                                                   \
  FLAMBEAU_COOPERATIVE_KERNEL(by_keys, flambeau::cuda::AttentionArguments, ByKeys::kThreads, ByKeys::kBlocksByKeys) { \
    ByKeys::by_keys(a);                                                                                               \
  }
