// The operator scaled_dot_product_attention. Note [Attention]
#include <cmath>
#include <limits>

#include "cuda/layers/attention.h"
#include "flambeau/cuda.h"
#include "flambeau/operator.h"
#include "flambeau/operators/networks.h"
#include "operators/layers/attention_blocks.h"

namespace flambeau {

namespace {

// Returns the softmax of the scores, (batch, queries, keys).
Tensor weights_of(const AttentionSizes& g, const Tensor& q, const Tensor& k, const Tensor& mask) {
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
void differentiable_backward(const Context& c, const AttentionSizes& g) {
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
AttentionGradients backward_on_cpu(const Context& c, const AttentionSizes& g, const Shape& batch, Dtype type) {
  const Tensor qkv[] = {flat(c.saved(0), batch, type), flat(c.saved(1), batch, type), flat(c.saved(2), batch, type)};
  return attend_derivative(g, AttentionMask(c.saved(3), batch, g, type), qkv, flat(c.gradient(), batch, type),
                           flat(c.saved(4), batch, type), c.saved(5));
}

// The arguments of the GPU kernels that do not depend on the operands. The object owns the mask, so that the mask
// exists while kernels run.
struct GpuMask {
  cuda::AttentionArguments arguments{};
  Tensor mask;
};
GpuMask gpu_arguments(const AttentionSizes& g, const Shape& batch, const Tensor& given, Dtype type) {
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

bool attends_on_gpu(const AttentionSizes& g, const Shape& batch, const Tensor& query, bool derivative) {
  return batch.size() <= size_t(cuda::kAttentionDims) && cuda::attends(query.dtype(), g.depth, g.width, derivative);
}

// Computes attention on a GPU. Returns false if no kernel supports the dtype, the row lengths or the number of
// dimensions.
bool forward_on_gpu(const AttentionSizes& g, const Shape& batch, const Tensor& q, const Tensor& k, const Tensor& v,
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

AttentionGradients backward_on_gpu(const Context& c, const AttentionSizes& g, const Shape& batch, Dtype type) {
  const Dtype dtype = c.saved(0).dtype();
  const GpuMask masked = gpu_arguments(g, batch, c.saved(3), type);
  return cuda::attend_derivative(masked.arguments, expand_to_batch(c.saved(0), batch, dtype),
                                 expand_to_batch(c.saved(1), batch, dtype), expand_to_batch(c.saved(2), batch, dtype),
                                 flat(c.saved(4), batch, dtype), c.saved(5),
                                 expand_to_batch(c.gradient(), batch, dtype));
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

// Returns a mask that also hides later keys from each query.
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
void attention_backward(const Context& c, const AttentionSizes& g, const Shape& batch, Dtype type) {
  const bool on_gpu = cuda::runs_on_gpu(c.gradient());
  if (recording_enabled() || c.gradient().is_meta() ||
      (on_gpu && (!c.saved(5).defined() || !attends_on_gpu(g, batch, c.saved(0), true))))
    return differentiable_backward(c, g);
  const AttentionGradients all = on_gpu ? backward_on_gpu(c, g, batch, type) : backward_on_cpu(c, g, batch, type);
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
  const AttentionSizes g{product(batch), query.size(-2),
                         key.size(-2),   query.size(-1),
                         value.size(-1), scale.value_or(query.size(-1) ? 1 / std::sqrt(double(query.size(-1))) : 1.0),
                         causal};
  const Dtype type = query.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32;
  Tensor out, logarithms;
  {
    NoRecording off;
    if (const Dtype in = attention_dtype(query.dtype(), g); !cuda::runs_on_gpu(query))
      attend(g, AttentionMask(mask, batch, g, type), flat(query, batch, in), flat(key, batch, in),
             flat(value, batch, in), out, logarithms);
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
     .doc =
         "Compute softmax(query @ key.T * scale + mask) @ value by blocks. Gradient: query, key and value, any order.",
     .forward = scaled_dot_product_attention,
     .reference = "scipy.special.softmax(query @ np.swapaxes(key, -1, -2) / 2, -1) @ value",
     .samples = "f(2, 3, 4), f(2, 5, 4), f(2, 5, 4)"});

}  // namespace flambeau
