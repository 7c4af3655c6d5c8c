// Note [Attention] on a GPU. Each block computes the results of some queries (or, in the derivative for keys and
// values, of some keys), and loops over tiles of the other operand. 16 threads share a row of a tile. Two kernels
// compute the derivative: in by_queries, each block has some queries, and in by_keys, each block has some keys. Thus
// only one thread computes each sum, in a fixed order.
//
// A module invokes FLAMBEAU_ATTENTION(T, kDepth, kWidth, kTile, kParts). Sizes are rounded up to multiples of 16.
// kParts is true if each block processes only a part of the keys; attention_join.h merges the parts.
#pragma once

#include "device/elementwise/halves.h"
#include "device/layers/attention_mask.h"
#include "device/threads/kernel.h"

namespace flambeau::cuda {

inline constexpr int kAttentionThreads = 256;

template <class T, int kDepth, int kWidth, int kTile, bool kParts = false>
struct Attention {
  using V = std::conditional_t<std::is_same_v<T, double>, double, float>;
  using Arguments = AttentionArguments;
  using Member = MemberRows<T>;
  static constexpr int kRows = kTile / 16;  // a thread computes kRows rows by kRows columns of a tile
  static constexpr int kMaxColumns = kDepth > kWidth ? kDepth : kWidth;
  template <int kSize>
  using Rows = V[kTile][kSize + 1];  // the padding puts elements of a column into different banks
  using Scores = V[kTile][kTile + 1];

  static int own_row() { return int(threadIdx.x) / 16; }
  static int own_column() { return int(threadIdx.x) % 16; }
  static V lowest() { return -V(INFINITY); }

  // Loads the rows [first, first + kTile) of a matrix (rows, columns). Elements beyond the end of the matrix become
  // zeros.
  template <int kSize>
  static void load(Rows<kSize>& to, const Member& member, int64_t first, int64_t rows, int64_t columns) {
    const int stride = member.opaque_stride();
    const T* from = member.data + first * stride;
    for (int i = int(threadIdx.x); i < kTile * kSize; i += kAttentionThreads) {
      const int r = i / kSize, c = i % kSize;
      to[r][c] = first + r < rows && c < columns ? convert<V>(from[r * stride + c]) : V(0);
    }
  }
  template <int kSize, class To = T>
  static void store(char* data, int64_t batch, int64_t first, int64_t rows, int64_t columns,
                    const V (&sums)[kRows][kSize / 16]) {
    To* to = reinterpret_cast<To*>(data) + batch * rows * columns;
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const int64_t row = first + own_row() + 16 * r;
#pragma unroll
      for (int c = 0; c < kSize / 16; ++c)
        if (const int column = own_column() + 16 * c; row < rows && column < columns)
          to[row * columns + column] = convert<To>(sums[r][c]);
    }
  }
  template <int kSize>
  static void clear(V (&sums)[kRows][kSize / 16]) {
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kSize / 16; ++c) sums[r][c] = V(0);
  }

  // Computes this thread's elements of left * right^T.
  template <int kSize, class Left, class Right>
  static void dot_rows(const Left& left, const Right& right, V (&out)[kRows][kRows]) {
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kRows; ++c) out[r][c] = V(0);
#pragma unroll 8
    for (int p = 0; p < kSize; ++p)
#pragma unroll
      for (int r = 0; r < kRows; ++r)
#pragma unroll
        for (int c = 0; c < kRows; ++c) out[r][c] += left[own_row() + 16 * r][p] * right[own_column() + 16 * c][p];
  }
  // Computes sums += weights * rows.
  template <int kSize, class Matrix>
  static void add_rows(const Scores& weights, const Matrix& rows, V (&sums)[kRows][kSize / 16]) {
#pragma unroll 4
    for (int p = 0; p < kTile; ++p)
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        const V weight = weights[own_row() + 16 * r][p];
#pragma unroll
        for (int c = 0; c < kSize / 16; ++c) sums[r][c] += weight * rows[p][own_column() + 16 * c];
      }
  }
  static void put(Scores& to, const V (&from)[kRows][kRows]) {
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kRows; ++c) to[own_row() + 16 * r][own_column() + 16 * c] = from[r][c];
  }

  // Combines a value with the values of the other threads of the row.
  template <class F>
  static V over_row(V x, F&& f) {
    for (int lanes = 8; lanes > 0; lanes /= 2) x = f(x, __shfl_xor_sync(0xffffffffu, x, lanes, 16));
    return x;
  }

  static void forward(const Arguments& a) {
    __shared__ Rows<kDepth> query;
    __shared__ Rows<kMaxColumns> other;
    __shared__ Scores weights;
    const int64_t tiles = (a.queries + kTile - 1) / kTile, first = blockIdx.x % tiles * kTile;
    const KeyRange<kParts> range(a, blockIdx.x / tiles, a.causal && first + kTile < a.keys ? first + kTile : a.keys);
    const int64_t batch = range.batch, mask = member_offset(a, a.mask, batch);
    const Member key_rows(a, a.key, batch), value_rows(a, a.value, batch);
    load<kDepth>(query, Member(a, a.query, batch), first, a.queries, a.depth);
    V sums[kRows][kWidth / 16], most[kRows], total[kRows];
    clear<kWidth>(sums);
    for (int r = 0; r < kRows; ++r) most[r] = lowest(), total[r] = V(0);
    for (int64_t key = range.begin; key < range.end; key += kTile) {
      load<kMaxColumns>(other, key_rows, key, a.keys, a.depth);
      __syncthreads();
      V s[kRows][kRows];
      dot_rows<kDepth>(query, other, s);
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        V largest = most[r];
#pragma unroll
        for (int c = 0; c < kRows; ++c) {
          s[r][c] = score(a, mask, first + own_row() + 16 * r, key + own_column() + 16 * c, s[r][c]);
          largest = largest < s[r][c] ? s[r][c] : largest;
        }
        largest = over_row(largest, [](V x, V y) { return x < y ? y : x; });
        const V from = largest == lowest() ? V(0) : largest, factor = exp(most[r] - from);
        V part = V(0);
#pragma unroll
        for (int c = 0; c < kRows; ++c) part += s[r][c] = exp(s[r][c] - from);
        total[r] = total[r] * factor + over_row(part, [](V x, V y) { return x + y; });
        most[r] = largest;
#pragma unroll
        for (int c = 0; c < kWidth / 16; ++c) sums[r][c] *= factor;
      }
      put(weights, s);
      __syncthreads();
      load<kMaxColumns>(other, value_rows, key, a.keys, a.width);
      __syncthreads();
      add_rows<kWidth>(weights, other, sums);
      __syncthreads();
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const V scale = total[r] == V(0) ? V(0) : V(1) / total[r];
#pragma unroll
      for (int c = 0; c < kWidth / 16; ++c) sums[r][c] *= scale;
      if (const int64_t row = first + own_row() + 16 * r; own_column() == 0 && row < a.queries)
        reinterpret_cast<V*>(a.logarithms)[range.result * a.queries + row] = most[r] + log(total[r]);
    }
    store<kWidth, std::conditional_t<kParts, V, T>>(a.out, range.result, first, a.queries, a.width, sums);
  }

  // Computes, for each query, the sum over width of grad * out. The derivative subtracts these sums. 16 threads process
  // a query.
  static void means(const Arguments& a) {
    const int64_t row = int64_t(blockIdx.x) * (kAttentionThreads / 16) + own_row();
    const bool in_range = row < a.batch * a.queries;
    const Member grad(a, a.grad, row / a.queries);
    const T* const from = grad.data + row % a.queries * grad.stride;
    V sum = V(0);
    for (int64_t i = own_column(); in_range && i < a.width; i += 16)
      sum += convert<V>(reinterpret_cast<const T*>(a.out)[row * a.width + i]) * convert<V>(from[i]);
    sum = over_row(sum, [](V x, V y) { return x + y; });
    if (in_range && own_column() == 0) reinterpret_cast<V*>(a.means)[row] = sum;
  }

  // Computes the weight of a score `s`. Converts `product`, the gradient of the weight, to the gradient of the score.
  static void differentiate(const Arguments& a, int64_t batch, int64_t query, V s, V& weight, V& product) {
    const int64_t at = batch * a.queries + (query < a.queries ? query : 0);
    weight = s == lowest() ? V(0) : exp(s - reinterpret_cast<const V*>(a.logarithms)[at]);
    product = weight * (product - reinterpret_cast<const V*>(a.means)[at]) * V(a.scale);
  }

  static void by_queries(const Arguments& a) {
    __shared__ Rows<kDepth> query, keys;
    __shared__ Rows<kWidth> grad, values;
    __shared__ Scores derivatives;
    const int64_t tiles = (a.queries + kTile - 1) / kTile, batch = blockIdx.x / tiles,
                  first = blockIdx.x % tiles * kTile, mask = member_offset(a, a.mask, batch);
    const int64_t limit = a.causal && first + kTile < a.keys ? first + kTile : a.keys;
    const Member key_rows(a, a.key, batch), value_rows(a, a.value, batch);
    load<kDepth>(query, Member(a, a.query, batch), first, a.queries, a.depth);
    load<kWidth>(grad, Member(a, a.grad, batch), first, a.queries, a.width);
    V sums[kRows][kDepth / 16];
    clear<kDepth>(sums);
    for (int64_t key = 0; key < limit; key += kTile) {
      load<kDepth>(keys, key_rows, key, a.keys, a.depth);
      load<kWidth>(values, value_rows, key, a.keys, a.width);
      __syncthreads();
      V s[kRows][kRows], products[kRows][kRows];
      dot_rows<kDepth>(query, keys, s);
      dot_rows<kWidth>(grad, values, products);
#pragma unroll
      for (int r = 0; r < kRows; ++r)
#pragma unroll
        for (int c = 0; c < kRows; ++c) {
          const int64_t row = first + own_row() + 16 * r;
          V weight;
          differentiate(a, batch, row, score(a, mask, row, key + own_column() + 16 * c, s[r][c]), weight,
                        products[r][c]);
        }
      put(derivatives, products);
      __syncthreads();
      add_rows<kDepth>(derivatives, keys, sums);
      __syncthreads();
    }
    store<kDepth>(a.grad_query, batch, first, a.queries, a.depth, sums);
  }

  static void by_keys(const Arguments& a) {
    __shared__ Rows<kDepth> keys, query;
    __shared__ Rows<kWidth> values, grad;
    __shared__ Scores weights, derivatives;
    const int64_t tiles = (a.keys + kTile - 1) / kTile, batch = blockIdx.x / tiles, first = blockIdx.x % tiles * kTile,
                  mask = member_offset(a, a.mask, batch);
    const Member query_rows(a, a.query, batch), grad_rows(a, a.grad, batch);
    load<kDepth>(keys, Member(a, a.key, batch), first, a.keys, a.depth);
    load<kWidth>(values, Member(a, a.value, batch), first, a.keys, a.width);
    V key_sums[kRows][kDepth / 16], value_sums[kRows][kWidth / 16];
    clear<kDepth>(key_sums);
    clear<kWidth>(value_sums);
    for (int64_t at = a.causal ? first : 0; at < a.queries; at += kTile) {
      load<kDepth>(query, query_rows, at, a.queries, a.depth);
      load<kWidth>(grad, grad_rows, at, a.queries, a.width);
      __syncthreads();
      V s[kRows][kRows], products[kRows][kRows];
      dot_rows<kDepth>(keys, query, s);
      dot_rows<kWidth>(values, grad, products);
#pragma unroll
      for (int r = 0; r < kRows; ++r)
#pragma unroll
        for (int c = 0; c < kRows; ++c) {
          const int64_t row = at + own_column() + 16 * c;
          differentiate(a, batch, row, score(a, mask, row, first + own_row() + 16 * r, s[r][c]), s[r][c],
                        products[r][c]);
        }
      put(weights, s);
      put(derivatives, products);
      __syncthreads();
      add_rows<kWidth>(weights, grad, value_sums);
      add_rows<kDepth>(derivatives, query, key_sums);
      __syncthreads();
    }
    store<kDepth>(a.grad_key, batch, first, a.keys, a.depth, key_sums);
    store<kWidth>(a.grad_value, batch, first, a.keys, a.width, value_sums);
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_ATTENTION_KERNEL(name)                                                                      \
  FLAMBEAU_COOPERATIVE_KERNEL(name, flambeau::cuda::AttentionArguments, flambeau::cuda::kAttentionThreads) { \
    AttentionOf::name(a);                                                                                    \
  }
#define FLAMBEAU_ATTENTION(...)                               \
  using AttentionOf = flambeau::cuda::Attention<__VA_ARGS__>; \
  FLAMBEAU_ATTENTION_KERNEL(forward)
#define FLAMBEAU_ATTENTION_DERIVATIVE(...)                    \
  using AttentionOf = flambeau::cuda::Attention<__VA_ARGS__>; \
  FLAMBEAU_ATTENTION_KERNEL(means)                            \
  FLAMBEAU_ATTENTION_KERNEL(by_queries)                       \
  FLAMBEAU_ATTENTION_KERNEL(by_keys)
