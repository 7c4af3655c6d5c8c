// Scaled dot-product attention.
//
// Note [Attention]
// softmax(Q K^T * scale + mask) V, computed by blocks of queries and keys. For each row, the softmax is represented by
// the maximum and the sum so far; accumulated values are rescaled when a larger maximum occurs (Milakov, Gimelshein
// 2018, arXiv:1805.02867; Dao et al. 2022, arXiv:2205.14135). The complete matrix of scores is never stored. The
// derivative recomputes each block from the logarithms of the sums. A row without visible keys gives zeros.
//
// With AMX, and for few queries also with AVX512-BF16, elements of bfloat16 are multiplied as such. All other
// half-precision elements are converted to float32, as is everything in the derivative.
#include <cmath>
#include <cstring>
#include <limits>

#include "core/working_memory.h"
#include "cuda/layers/attention.h"
#include "flambeau/cuda.h"
#include "flambeau/operator.h"
#include "flambeau/operators/networks.h"
#include "flambeau/parallel.h"
#include "kernels/layers/networks.h"
#include "kernels/linalg/bfloat16_gemm.h"
#include "operators/products/products.h"

namespace flambeau {

namespace {

constexpr int64_t kFewQueries = 64, kQueries = 256, kKeys = 512;  // numbers of queries and of keys in a block

struct Geometry {
  int64_t batch, queries, keys, depth, width;  // width: size of each value vector
  double scale;
  bool causal;
};

// Returns the number of queries in a block. Larger blocks read the keys less often. Smaller blocks are used with a
// causal mask, because they skip more of the keys that it hides, and if there would be fewer than `blocks` larger ones.
int64_t queries_of_block(const Geometry& g, int64_t blocks) {
  const bool many = !g.causal && g.batch * ((g.queries + kQueries - 1) / kQueries) >= blocks;
  return std::min(many ? kQueries : kFewQueries, g.queries);
}

// A mask as numbers that are added to the scores. The last two dimensions are contiguous, and the others may be
// broadcast.
struct Mask {
  Tensor values;
  std::vector<int64_t> offsets;  // offset of the mask's (query, key) matrix for each element of the batch

  Mask(const Tensor& mask, const Shape& batch, const Geometry& g, Dtype type) {
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
  const char* at(int64_t batch, int64_t query, int64_t key, const Geometry& g) const {
    if (!values.defined()) return nullptr;
    return values.bytes() + (offsets[size_t(batch)] + query * g.keys + key) * item_size(values.dtype());
  }
};

// Returns the distance between the rows of a block of scores with this number of columns.
int64_t row_of(int64_t columns) {
  return (columns + kernels::kScoresUnit - 1) / kernels::kScoresUnit * kernels::kScoresUnit;
}

// Computes a block of scaled scores and describes it for the row kernels.
kernels::Scores scores_of(const Geometry& g, const Mask& mask, int64_t batch, int64_t query, int64_t key, int64_t rows,
                          int64_t columns, const char* q, const char* k, char* scores, int kind) {
  const int64_t size = kind ? 8 : 4, row = row_of(columns);
  kernels::table().gemm[kind](rows, columns, g.depth, g.scale,
                              {q + (batch * g.queries + query) * g.depth * size, g.depth, 1},
                              {k + (batch * g.keys + key) * g.depth * size, 1, g.depth}, 0, scores, row);
  return {rows, columns, row, g.causal, query - key + 1, mask.at(batch, query, key, g), g.keys};
}

int64_t key_limit(const Geometry& g, int64_t query, int64_t rows) {
  return g.causal ? std::min(g.keys, query + rows) : g.keys;
}

// The products of a block of queries with elements of type E, float or double. The sums have the same type.
template <class E>
class ForwardProducts {
 public:
  using Sum = E;
  ForwardProducts(const Geometry& g, int64_t most) : g_(g), scores_(most * kKeys * int64_t(sizeof(E))) {}

  char* scores() const { return scores_.get(); }
  char* weights() const { return nullptr; }  // memory for rounded weights, or null: they stay in scores()
  // Returns the memory for the sums of a block: the rows of the result themselves.
  E* sums(E* to) const { return to; }
  kernels::Scores score(const Mask& mask, int64_t batch, int64_t query, int64_t key, int64_t rows, int64_t columns,
                        const Tensor& q, const Tensor& k) const {
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
  const Geometry& g_;
  const Block scores_;
};

// The products of bfloat16 elements, for processors with instructions for them. The sums are float32, and the weights
// are rounded to bfloat16.
template <>
class ForwardProducts<bfloat16> {
 public:
  using Sum = float;
  ForwardProducts(const Geometry& g, int64_t most)
      : g_(g),
        scores_(most * kKeys * int64_t(sizeof(float))),
        weights_(most * kKeys * int64_t(sizeof(bfloat16))),
        sums_(most * g.width * int64_t(sizeof(float))) {}

  char* scores() const { return scores_.get(); }
  char* weights() const { return weights_.get(); }
  float* sums(bfloat16*) const { return reinterpret_cast<float*>(sums_.get()); }
  kernels::Scores score(const Mask& mask, int64_t batch, int64_t query, int64_t key, int64_t rows, int64_t columns,
                        const Tensor& q, const Tensor& k) const {
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
  const Geometry& g_;
  const Block scores_, weights_, sums_;
};

// Computes the outputs of one block of queries, and the logarithms of the sums of exponentials.
template <class E>
void forward_block(const Geometry& g, const Mask& mask, int64_t batch, int64_t query, int64_t rows, const Tensor& q,
                   const Tensor& k, const Tensor& v, Tensor& out, Tensor& logarithms,
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
void forward_blocks(const Geometry& g, const Mask& mask, const Tensor& q, const Tensor& k, const Tensor& v, Tensor& out,
                    Tensor& logarithms) {
  constexpr int64_t kShared = 32;  // number of blocks that is enough for many threads
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

// The operands have the dtype in which their elements are multiplied. The result has the same dtype.
void forward(const Geometry& g, const Mask& mask, const Tensor& q, const Tensor& k, const Tensor& v, Tensor& out,
             Tensor& logarithms) {
  out = empty({g.batch, g.queries, g.width}, q.dtype());
  logarithms = empty({g.batch, g.queries}, q.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32);
  if (out.is_meta() || logarithms.numel() == 0) return;
  const auto run = q.dtype() == Dtype::bfloat16  ? forward_blocks<bfloat16>
                   : q.dtype() == Dtype::float64 ? forward_blocks<double>
                                                 : forward_blocks<float>;
  run(g, mask, q, k, v, out, logarithms);
}

// Returns the dtype in which the CPU multiplies elements of this dtype.
Dtype product_dtype(Dtype dtype, const Geometry& g) {
  constexpr int64_t kMinDepth = 16;  // shorter products take longer than the conversion to float32
  if (dtype == Dtype::float64) return dtype;
  const bool has_products = dtype == Dtype::bfloat16 && kernels::table().bfloat16_gemm && g.depth >= kMinDepth;
  // Without AMX, packing takes as much time as is saved. Few queries need no packing.
  const bool is_faster = kernels::uses_amx() || g.queries <= kernels::bfloat16_tile::kFewRows;
  return has_products && is_faster ? dtype : Dtype::float32;
}

struct Gradients {
  Tensor query, key, value;
};

// Computes the gradients for all blocks of one element of the batch.
template <class T>
void backward_member(const Geometry& g, const Mask& mask, int64_t batch, const Tensor (&qkv)[3], const Tensor& grad,
                     const Tensor& logarithms, const T* means, Gradients& out, char* scores, char* products) {
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

Gradients backward(const Geometry& g, const Mask& mask, const Tensor (&qkv)[3], const Tensor& grad, const Tensor& out,
                   const Tensor& logarithms) {
  const Dtype type = out.dtype();
  Gradients result{zeros(qkv[0].shape(), type), zeros(qkv[1].shape(), type), zeros(qkv[2].shape(), type)};
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

// Returns the softmax of the scores, (batch, queries, keys).
Tensor weights_of(const Geometry& g, const Tensor& q, const Tensor& k, const Tensor& mask) {
  const double lowest = -std::numeric_limits<double>::infinity();
  Tensor scores = matmul(q, transpose(k, -2, -1)) * Scalar(g.scale);
  if (mask.defined())
    scores = mask.dtype() == Dtype::bool_ ? where(mask, scores, Scalar(lowest)) : scores + to(mask, scores.dtype());
  if (g.causal) scores = where(tril(ones({g.queries, g.keys}, Dtype::bool_), 0), scores, Scalar(lowest));
  if (g.keys == 0) return scores;
  const Tensor empty_rows = eq(amax(scores, Shape{-1}, true), Scalar(lowest));
  return where(empty_rows, Scalar(0.0), softmax(where(empty_rows, Scalar(0.0), scores), -1, std::nullopt));
}

// Computes the derivative with differentiable tensor operators, for higher derivatives. Saved tensors: q, k, v, mask.
void differentiable_backward(const Context& c, const Geometry& g) {
  const Tensor &q = c.saved(0), &k = c.saved(1), &v = c.saved(2), &mask = c.saved(3), &grad = c.gradient();
  const Tensor p = weights_of(g, q, k, mask);
  if (c.needs(2)) c.set(2, sum_to(matmul(transpose(p, -2, -1), grad), v.shape()));
  if (!c.needs(0) && !c.needs(1)) return;
  const Tensor dp = matmul(grad, transpose(v, -2, -1));
  const Tensor ds = p * (dp - sum(dp * p, Shape{-1}, true, std::nullopt)) * Scalar(g.scale);
  if (c.needs(0)) c.set(0, sum_to(matmul(ds, k), q.shape()));
  if (c.needs(1)) c.set(1, sum_to(matmul(transpose(ds, -2, -1), q), k.shape()));
}

Shape leading(const Tensor& t) { return Shape(t.shape().begin(), t.shape().end() - 2); }

Shape with(Shape batch, int64_t rows, int64_t columns) {
  batch.push_back(rows);
  batch.push_back(columns);
  return batch;
}

// Expands a tensor to the shape of the batch, and then merges the batch dimensions.
Tensor flat(const Tensor& t, const Shape& batch, Dtype type) {
  const int64_t rows = t.size(-2), columns = t.size(-1);
  return reshape(contiguous(to(expand(t, with(batch, rows, columns)), type)), {product(batch), rows, columns});
}

// Computes the derivative on the CPU. Saved tensors: q, k, v, mask, the output, the logarithms.
Gradients backward_on_cpu(const Context& c, const Geometry& g, const Shape& batch, Dtype type) {
  const Tensor qkv[] = {flat(c.saved(0), batch, type), flat(c.saved(1), batch, type), flat(c.saved(2), batch, type)};
  return backward(g, Mask(c.saved(3), batch, g, type), qkv, flat(c.gradient(), batch, type),
                  flat(c.saved(4), batch, type), c.saved(5));
}

// The arguments of the GPU kernels that do not depend on the operands. The object keeps the mask alive while kernels
// run.
struct GpuMask {
  cuda::AttentionArguments arguments{};
  Tensor mask;
};
GpuMask gpu_arguments(const Geometry& g, const Shape& batch, const Tensor& given, Dtype type) {
  GpuMask out;
  cuda::AttentionArguments& a = out.arguments;
  a.batch = g.batch, a.queries = g.queries, a.keys = g.keys, a.depth = g.depth, a.width = g.width;
  a.scale = g.scale, a.causal = g.causal;
  a.dims = int(batch.size());
  std::copy(batch.begin(), batch.end(), a.size);
  if (!given.defined()) return out;
  out.mask = given.dtype() == Dtype::bool_ ? given : to(given, type);
  const Tensor spread = expand(out.mask, with(batch, g.queries, g.keys));
  a.mask.data = spread.device_bytes();
  a.boolean_mask = given.dtype() == Dtype::bool_;
  std::copy(spread.strides().begin(), spread.strides().end() - 2, a.mask.stride);
  a.mask.row = spread.stride(-2), a.mask_column = spread.stride(-1);
  return out;
}

// Expands a tensor to the shape of the batch, in a layout that the GPU kernels can read.
Tensor expand_to_batch(const Tensor& t, const Shape& batch, Dtype type) {
  return expand(cuda::readable(to(t, type)), with(batch, t.size(-2), t.size(-1)));
}

bool attends_on_gpu(const Geometry& g, const Shape& batch, const Tensor& query, bool derivative) {
  return batch.size() <= size_t(cuda::kAttentionDims) && cuda::attends(query.dtype(), g.depth, g.width, derivative);
}

// Computes attention on a GPU. Returns false if no kernel supports the dtype, the row lengths or the number of
// dimensions.
bool forward_on_gpu(const Geometry& g, const Shape& batch, const Tensor& q, const Tensor& k, const Tensor& v,
                    const Tensor& mask, Dtype type, Tensor& out, Tensor& logarithms) {
  const Dtype dtype = q.dtype();
  if (!attends_on_gpu(g, batch, q, false)) return false;
  out = empty({g.batch, g.queries, g.width}, dtype);
  logarithms = empty({g.batch, g.queries}, type);
  const GpuMask masked = gpu_arguments(g, batch, mask, type);
  cuda::attend(masked.arguments, expand_to_batch(q, batch, dtype), expand_to_batch(k, batch, dtype),
               expand_to_batch(v, batch, dtype), out, logarithms);
  return true;
}

Gradients backward_on_gpu(const Context& c, const Geometry& g, const Shape& batch, Dtype type) {
  const Dtype dtype = c.saved(0).dtype();
  const GpuMask masked = gpu_arguments(g, batch, c.saved(3), type);
  const cuda::AttentionGradients all =
      cuda::attend_derivative(masked.arguments, expand_to_batch(c.saved(0), batch, dtype),
                              expand_to_batch(c.saved(1), batch, dtype), expand_to_batch(c.saved(2), batch, dtype),
                              flat(c.saved(4), batch, dtype), c.saved(5), expand_to_batch(c.gradient(), batch, dtype));
  return {all.query, all.key, all.value};
}

constexpr const char* kName = "scaled_dot_product_attention";

void check_attention(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask) {
  for (const Tensor* t : {&query, &key, &value}) {
    require(t->dim() >= 2, kName, ": expected query, key and value of at least 2 dimensions, got shapes ",
            query.shape(), ", ", key.shape(), " and ", value.shape());
    require(t->dtype() == query.dtype(),
            "Expected query, key, and value to have the same dtype, but got query.dtype: ", query.dtype(),
            " key.dtype: ", key.dtype(), " and value.dtype: ", value.dtype(), " instead.");
  }
  require<NotImplementedError>(is_floating(query.dtype()), "\"", kName, "\" not implemented for '", query.dtype(), "'");
  require(query.size(-1) == key.size(-1) && key.size(-2) == value.size(-2), kName, ": query ", query.shape(), ", key ",
          key.shape(), " and value ", value.shape(),
          " do not match; expected the shapes (*, L, E), (*, S, E) and (*, S, V)");
  require(!mask.defined() || mask.dtype() == Dtype::bool_ || is_floating(mask.dtype()),
          "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: ",
          mask.defined() ? mask.dtype() : Dtype::bool_, " and  query.dtype: ", query.dtype(), " instead.");
}

// Returns a mask that hides, in addition, later keys from each query.
Tensor without_later_keys(const Tensor& mask, int64_t queries, int64_t keys) {
  const Tensor later = triu(full({queries, keys}, Scalar(true), Dtype::bool_), 1);
  const Scalar hidden = mask.dtype() == Dtype::bool_ ? Scalar(false) : Scalar(-std::numeric_limits<double>::infinity());
  return masked_fill(mask, later, hidden);
}

Shape common_batch(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask) {
  const Shape batch = broadcast(broadcast(leading(query), leading(key)), leading(value));
  if (!mask.defined()) return batch;
  const Shape matrix = with({}, query.size(-2), key.size(-2)), whole = broadcast(mask.shape(), matrix);
  const Shape all = broadcast(batch, Shape(whole.begin(), whole.end() - 2));
  require(Shape(whole.end() - 2, whole.end()) == matrix, kName, ": attn_mask of shape ", mask.shape(),
          " cannot be broadcast to the shape of the scores, ", matrix);
  return all;
}

// Saved tensors: query, key, value, mask, the result, the logarithms of the sums.
void attention_backward(const Context& c, const Geometry& g, const Shape& batch, Dtype type) {
  const bool on_gpu = cuda::runs_on_gpu(c.gradient());
  if (recording_enabled() || c.gradient().is_meta() ||
      (on_gpu && (!c.saved(5).defined() || !attends_on_gpu(g, batch, c.saved(0), true))))
    return differentiable_backward(c, g);
  const Gradients all = on_gpu ? backward_on_gpu(c, g, batch, type) : backward_on_cpu(c, g, batch, type);
  const Tensor* const parts[] = {&all.query, &all.key, &all.value};
  for (int i = 0; i < 3; ++i) {
    if (!c.needs(i)) continue;
    const Tensor& t = c.saved(i);
    const Tensor whole = reshape(*parts[i], with(batch, t.size(-2), t.size(-1)));
    c.set(i, to(sum_to(whole, t.shape()), t.dtype()));
  }
}

}  // namespace

Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask,
                                    bool causal, std::optional<double> scale) {
  check_attention(query, key, value, mask);
  if (mask.defined() && causal)
    return scaled_dot_product_attention(query, key, value, without_later_keys(mask, query.size(-2), key.size(-2)),
                                        false, scale);
  const Shape batch = common_batch(query, key, value, mask);
  const Geometry g{product(batch), query.size(-2),
                   key.size(-2),   query.size(-1),
                   value.size(-1), scale.value_or(query.size(-1) ? 1 / std::sqrt(double(query.size(-1))) : 1.0),
                   causal};
  const Dtype type = query.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32;
  Tensor out, logarithms;
  {
    NoRecording off;
    if (const Dtype in = product_dtype(query.dtype(), g); !cuda::runs_on_gpu(query))
      forward(g, Mask(mask, batch, g, type), flat(query, batch, in), flat(key, batch, in), flat(value, batch, in), out,
              logarithms);
    else if (!forward_on_gpu(g, batch, query, key, value, mask, type, out, logarithms))
      out = matmul(weights_of(g, query, key, mask), value);
    out = to(reshape(out, with(batch, g.queries, g.width)), query.dtype());
  }
  if (recording(query, key, value))
    record("ScaledDotProductAttention", out, {&query, &key, &value}, {&query, &key, &value, &mask, &out, &logarithms},
           [g, batch, type](const Context& c) { attention_backward(c, g, batch, type); });
  return out;
}

const Operator _scaled_dot_product_attention_operator(
    {.signature = "_scaled_dot_product_attention(query, key, value, attn_mask=None, is_causal=False, scale=None)",
     .forms = kPrivate | kLowerPrecision,
     .doc = "Compute softmax(query @ key.T * scale + mask) @ value by blocks. Gradient: query, key, value, any order.",
     .forward = scaled_dot_product_attention,
     .reference = "scipy.special.softmax(query @ np.swapaxes(key, -1, -2) / 2, -1) @ value",
     .samples = "f(2, 3, 4), f(2, 5, 4), f(2, 5, 4)"});

}  // namespace flambeau
