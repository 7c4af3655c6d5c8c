// Scaled dot-product attention on the CPU.
//
// Note [Attention]
// softmax(Q K^T * scale + mask) V is computed by blocks of queries and keys. For each row, the softmax is represented
// by the maximum and the sum of the previous blocks; accumulated values are rescaled when a larger maximum occurs
// (Milakov, Gimelshein 2018, arXiv:1805.02867; Dao et al. 2022, arXiv:2205.14135). The complete matrix of scores is
// never stored. The derivative recomputes each block from the logarithms of the sums. The result of a row without
// visible keys is zero.
//
// With AMX, and for few queries also with AVX512-BF16, bfloat16 elements are multiplied without conversion. All other
// half-precision elements are converted to float32. The derivative always computes in float32.
#include "operators/layers/attention_blocks.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "core/working_memory.h"
#include "flambeau/operators/networks.h"
#include "flambeau/parallel.h"
#include "kernels/layers/networks.h"
#include "kernels/linalg/bfloat16_gemm.h"
#include "operators/products/products.h"

namespace flambeau {

namespace {

constexpr int64_t kFewQueries = 64, kQueries = 256, kKeys = 512;  // numbers of queries and of keys in a block

// Returns the number of queries in a block. Larger blocks read the keys less often. Smaller blocks are used with a
// causal mask, because they skip more of the hidden keys, and if the number of larger blocks would be less than
// `blocks`.
int64_t queries_of_block(const AttentionSizes& g, int64_t blocks) {
  const bool many = !g.causal && g.batch * ((g.queries + kQueries - 1) / kQueries) >= blocks;
  return std::min(many ? kQueries : kFewQueries, g.queries);
}

// Returns the distance between the rows of a block of scores with this number of columns.
int64_t row_of(int64_t columns) {
  return (columns + kernels::kScoresUnit - 1) / kernels::kScoresUnit * kernels::kScoresUnit;
}

// Computes a block of scaled scores and describes it for the row kernels.
kernels::Scores scores_of(const AttentionSizes& g, const AttentionMask& mask, int64_t batch, int64_t query, int64_t key,
                          int64_t rows, int64_t columns, const char* q, const char* k, char* scores, int kind) {
  const int64_t size = kind ? 8 : 4, row = row_of(columns);
  kernels::table().gemm[kind](rows, columns, g.depth, g.scale,
                              {q + (batch * g.queries + query) * g.depth * size, g.depth, 1},
                              {k + (batch * g.keys + key) * g.depth * size, 1, g.depth}, 0, scores, row);
  return {rows, columns, row, g.causal, query - key + 1, mask.at(batch, query, key, g), g.keys};
}

int64_t key_limit(const AttentionSizes& g, int64_t query, int64_t rows) {
  return g.causal ? std::min(g.keys, query + rows) : g.keys;
}

// The products of a block of queries with elements of type E, float or double. Sums are of type E.
template <class E>
class ForwardProducts {
 public:
  using Sum = E;
  ForwardProducts(const AttentionSizes& g, int64_t most) : g_(g), scores_(most * kKeys * int64_t(sizeof(E))) {}

  char* scores() const { return scores_.get(); }
  char* weights() const { return nullptr; }  // memory for rounded weights; null if they stay in scores()
  // Returns the memory for the sums of a block: the rows of the result.
  E* sums(E* to) const { return to; }
  kernels::Scores score(const AttentionMask& mask, int64_t batch, int64_t query, int64_t key, int64_t rows,
                        int64_t columns, const Tensor& q, const Tensor& k) const {
    return scores_of(g_, mask, batch, query, key, rows, columns, q.bytes(), k.bytes(), scores(), kKind);
  }
  // Adds the values, multiplied by the weights, to the sums.
  void add_values(const kernels::Scores& s, const E* values, E* sums) const {
    kernels::table().gemm[kKind](s.rows, g_.width, s.columns, 1, {scores(), s.row, 1}, {values, g_.width, 1}, 1, sums,
                                 g_.width);
  }
  void store(const E*, E*, int64_t) const {}

 private:
  static constexpr int kKind = sizeof(E) == 8;
  const AttentionSizes& g_;
  const Block scores_;
};

// The products of bfloat16 elements, for processors with bfloat16 instructions. The sums are float32, and the weights
// are rounded to bfloat16.
template <>
class ForwardProducts<bfloat16> {
 public:
  using Sum = float;
  ForwardProducts(const AttentionSizes& g, int64_t most)
      : g_(g),
        scores_(most * kKeys * int64_t(sizeof(float))),
        weights_(most * kKeys * int64_t(sizeof(bfloat16))),
        sums_(most * g.width * int64_t(sizeof(float))) {}

  char* scores() const { return scores_.get(); }
  char* weights() const { return weights_.get(); }
  float* sums(bfloat16*) const { return reinterpret_cast<float*>(sums_.get()); }
  kernels::Scores score(const AttentionMask& mask, int64_t batch, int64_t query, int64_t key, int64_t rows,
                        int64_t columns, const Tensor& q, const Tensor& k) const {
    const int64_t row = row_of(columns);
    kernels::table().bfloat16_gemm(rows, columns, g_.depth,
                                   {q.data<bfloat16>() + (batch * g_.queries + query) * g_.depth, g_.depth, 1},
                                   {k.data<bfloat16>() + (batch * g_.keys + key) * g_.depth, 1, g_.depth},
                                   reinterpret_cast<float*>(scores()), row, false);
    return {rows, columns, row, g_.causal, query - key + 1, mask.at(batch, query, key, g_), g_.keys, g_.scale};
  }
  void add_values(const kernels::Scores& s, const bfloat16* values, float* sums) const {
    kernels::table().bfloat16_gemm(s.rows, g_.width, s.columns, {weights_.get(), s.row, 1}, {values, g_.width, 1}, sums,
                                   g_.width, true);
  }
  void store(const float* sums, bfloat16* to, int64_t n) const {
    round_sums(reinterpret_cast<char*>(to), Dtype::bfloat16, sums, n);
  }

 private:
  const AttentionSizes& g_;
  const Block scores_, weights_, sums_;
};

// Computes the outputs of one block of queries, and the logarithms of the sums of exponentials.
template <class E>
void forward_block(const AttentionSizes& g, const AttentionMask& mask, int64_t batch, int64_t query, int64_t rows,
                   const Tensor& q, const Tensor& k, const Tensor& v, Tensor& out, Tensor& logarithms,
                   const ForwardProducts<E>& products) {
  using T = typename ForwardProducts<E>::Sum;
  T maxima[kQueries], sums[kQueries];
  std::fill(maxima, maxima + kQueries, -std::numeric_limits<T>::infinity());
  std::fill(sums, sums + kQueries, T(0));
  E* const result = out.data<E>() + (batch * g.queries + query) * g.width;
  T* const to = products.sums(result);
  std::fill(to, to + rows * g.width, T(0));
  for (int64_t key = 0, limit = key_limit(g, query, rows); key < limit; key += kKeys) {
    const int64_t columns = std::min(kKeys, limit - key);
    const kernels::Scores s = products.score(mask, batch, query, key, rows, columns, q, k);
    kernels::networks().attend[sizeof(T) == 8](s, products.scores(), products.weights(), maxima, sums, to, g.width);
    products.add_values(s, v.data<E>() + (batch * g.keys + key) * g.width, to);
  }
  for (int64_t r = 0; r < rows; ++r) {
    const T scale = sums[r] > 0 || sums[r] != sums[r] ? T(1) / sums[r] : T(0);
    for (int64_t i = 0; i < g.width; ++i) to[r * g.width + i] *= scale;
    logarithms.data<T>()[batch * g.queries + query + r] = maxima[r] + std::log(sums[r]);
  }
  products.store(to, result, rows * g.width);
}

template <class E>
void forward_blocks(const AttentionSizes& g, const AttentionMask& mask, const Tensor& q, const Tensor& k,
                    const Tensor& v, Tensor& out, Tensor& logarithms) {
  constexpr int64_t kShared = 32;  // with this number of blocks, every thread has work
  const int64_t most = queries_of_block(g, kShared), blocks = (g.queries + most - 1) / most;
  const int64_t work = most * g.keys * (g.depth + g.width);
  parallel_items(g.batch * blocks, std::max<int64_t>(1, 100000 / (work + 1)), [&](int64_t begin, int64_t end) {
    const ForwardProducts<E> products(g, most);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t query = i % blocks * most, rows = std::min(most, g.queries - query);
      forward_block<E>(g, mask, i / blocks, query, rows, q, k, v, out, logarithms, products);
    }
  });
}

// Computes the gradients for all blocks of one element of the batch.
template <class T>
void backward_member(const AttentionSizes& g, const AttentionMask& mask, int64_t batch, const Tensor (&qkv)[3],
                     const Tensor& grad, const Tensor& logarithms, const T* means, AttentionGradients& out,
                     char* scores, char* products) {
  constexpr int kind = sizeof(T) == 8;
  const auto gemm = kernels::table().gemm[kind];
  const T *q = qkv[0].data<T>() + batch * g.queries * g.depth, *k = qkv[1].data<T>() + batch * g.keys * g.depth,
          *v = qkv[2].data<T>() + batch * g.keys * g.width, *dy = grad.data<T>() + batch * g.queries * g.width;
  T *dq = out.query.data<T>() + batch * g.queries * g.depth, *dk = out.key.data<T>() + batch * g.keys * g.depth,
    *dv = out.value.data<T>() + batch * g.keys * g.width;
  const int64_t most = queries_of_block(g, 1);
  for (int64_t query = 0; query < g.queries; query += most) {
    const int64_t rows = std::min(most, g.queries - query);
    for (int64_t key = 0, limit = key_limit(g, query, rows); key < limit; key += kKeys) {
      const int64_t columns = std::min(kKeys, limit - key);
      const kernels::Scores s =
          scores_of(g, mask, batch, query, key, rows, columns, qkv[0].bytes(), qkv[1].bytes(), scores, kind);
      gemm(rows, columns, g.width, 1, {dy + query * g.width, g.width, 1}, {v + key * g.width, 1, g.width}, 0, products,
           s.row);
      kernels::networks().attend_backward[kind](s, scores, products, logarithms.data<T>() + batch * g.queries + query,
                                                means + query, g.scale);
      gemm(columns, g.width, rows, 1, {scores, 1, s.row}, {dy + query * g.width, g.width, 1}, 1, dv + key * g.width,
           g.width);
      gemm(rows, g.depth, columns, 1, {products, s.row, 1}, {k + key * g.depth, g.depth, 1}, 1, dq + query * g.depth,
           g.depth);
      gemm(columns, g.depth, rows, 1, {products, 1, s.row}, {q + query * g.depth, g.depth, 1}, 1, dk + key * g.depth,
           g.depth);
    }
  }
}

}  // namespace

AttentionMask::AttentionMask(const Tensor& mask, const Shape& batch, const AttentionSizes& g, Dtype type) {
  if (!mask.defined()) return;
  Tensor m = mask.dtype() == Dtype::bool_
                 ? where(mask, Scalar(0.0), scalar_tensor(-std::numeric_limits<double>::infinity(), type))
                 : to(mask, type);
  Shape own = m.shape();
  while (own.size() < 2) own.insert(0, 1);
  own[own.size() - 2] = g.queries;
  own[own.size() - 1] = g.keys;
  values = contiguous(expand(m, own));
  Shape whole = batch;
  whole.push_back(g.queries);
  whole.push_back(g.keys);
  const Tensor spread = expand(values, whole);
  offsets.assign(size_t(g.batch), 0);
  for (int64_t i = 0; i < g.batch; ++i) {
    int64_t rest = i;
    for (size_t d = batch.size(); d-- > 0; rest /= batch[d])
      offsets[size_t(i)] += rest % batch[d] * spread.strides()[d];
  }
}

const char* AttentionMask::at(int64_t batch, int64_t query, int64_t key, const AttentionSizes& g) const {
  if (!values.defined()) return nullptr;
  return values.bytes() + (offsets[size_t(batch)] + query * g.keys + key) * item_size(values.dtype());
}

Dtype attention_dtype(Dtype dtype, const AttentionSizes& g) {
  constexpr int64_t kMinDepth = 16;  // shorter products take longer than the conversion to float32
  if (dtype == Dtype::float64) return dtype;
  const bool has_products = dtype == Dtype::bfloat16 && kernels::table().bfloat16_gemm && g.depth >= kMinDepth;
  // Without AMX, the products save no more time than packing takes. Products with few queries need no packing.
  const bool is_faster = kernels::uses_amx() || g.queries <= kernels::bfloat16_tile::kFewRows;
  return has_products && is_faster ? dtype : Dtype::float32;
}

void attend(const AttentionSizes& g, const AttentionMask& mask, const Tensor& q, const Tensor& k, const Tensor& v,
            Tensor& out, Tensor& logarithms) {
  out = empty({g.batch, g.queries, g.width}, q.dtype());
  logarithms = empty({g.batch, g.queries}, q.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32);
  if (out.is_meta() || logarithms.numel() == 0) return;
  const auto run = q.dtype() == Dtype::bfloat16  ? forward_blocks<bfloat16>
                   : q.dtype() == Dtype::float64 ? forward_blocks<double>
                                                 : forward_blocks<float>;
  run(g, mask, q, k, v, out, logarithms);
}

AttentionGradients attend_derivative(const AttentionSizes& g, const AttentionMask& mask, const Tensor (&qkv)[3],
                                     const Tensor& grad, const Tensor& out, const Tensor& logarithms) {
  const Dtype type = out.dtype();
  AttentionGradients result{zeros(qkv[0].shape(), type), zeros(qkv[1].shape(), type), zeros(qkv[2].shape(), type)};
  const Tensor means = sum(mul(grad, out), Shape{-1}, false, std::nullopt);
  dispatch_real(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    parallel_items(g.batch, 1, [&](int64_t begin, int64_t end) {
      const int64_t size = queries_of_block(g, 1) * kKeys * int64_t(sizeof(T));
      const Block scores(size), products(size);
      for (int64_t i = begin; i < end; ++i)
        backward_member<T>(g, mask, i, qkv, grad, logarithms, means.data<T>() + i * g.queries, result, scores.get(),
                           products.get());
    });
  });
  return result;
}

}  // namespace flambeau
