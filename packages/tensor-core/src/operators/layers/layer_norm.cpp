// Layer and RMS normalisation of rows. Each position in a row has a weight.
#include <cmath>
#include <limits>

#include "cuda/operators.h"
#include "flambeau/operator.h"
#include "flambeau/parallel.h"
#include "operators/layers/normalization.h"

namespace flambeau {

namespace {

struct LayerNormRows {
  int64_t count, length;
  bool centred;  // false for RMS normalisation, which does not subtract the mean

  int64_t grain() const { return std::max<int64_t>(1, 16384 / (length + 1)); }
  // Returns true if several rows are processed at a time. This does not change the results.
  bool together(int64_t longest) const { return length > 0 && length <= longest && count >= kEnough; }
  static constexpr int64_t kEnough = 16;
};

// Computes the moments of a row in two passes. The second pass reads the row from the cache.
kernels::Moments moments_of(const char* row, const NormalizedRows& r, double eps, int kind) {
  const auto moments = kernels::networks().moments[kind];
  const double n = double(r.length);
  Sums first, second;
  if (!r.centred) {
    moments(row, r.length, &first.values, &first.squares, 0);
    return {0, 1 / std::sqrt(first.squares / n + eps)};
  }
  moments(row, r.length, &first.values, &first.squares, 0);
  const double centre = kind ? first.values / n : double(float(first.values / n));
  moments(row, r.length, &second.values, &second.squares, centre);
  const double rest = second.values / n;
  return {centre + rest, 1 / std::sqrt(std::max(second.squares / n - rest * rest, 0.0) + eps)};
}

// Computes the output. Returns the statistics, (count, 2) in float64: the mean and the reciprocal standard deviation of
// each row.
Tensor forward(const LayerNormRows& r, const Tensor& x, const Tensor& weight, const Tensor& bias, double eps,
               Tensor& out) {
  const RowConversion conversion{x.dtype(), normalization_type(x), r.length};
  const int kind = conversion.computed == Dtype::float64;
  out = empty(x.shape(), x.dtype());
  Tensor statistics = empty({r.count, 2}, Dtype::float64);
  if (x.is_meta()) return statistics;
  auto* m = reinterpret_cast<kernels::Moments*>(statistics.bytes());
  const NormalizedRows rows{r.length, r.centred,
                            NormalizedRows::are_faster_together(r.count, r.length, conversion.computed)};
  const auto normalize = [&](char* to, const char* from, int64_t first, int64_t count) {
    normalize_rows(rows, kind, to, from, bytes_at(weight, 0), bytes_at(bias, 0), count, eps, m + first);
  };
  parallel_items(r.count, r.grain(), [&](int64_t begin, int64_t end) {
    if (!conversion.is_needed())
      return normalize(conversion.address(out, begin), conversion.address(x, begin), begin, end - begin);
    const Block from(conversion.scratch_bytes()), to(conversion.scratch_bytes());
    for (int64_t row = begin; row < end; row += conversion.rows_together()) {
      const int64_t count = std::min(conversion.rows_together(), end - row);
      conversion.read(from.get(), x, row, count);
      normalize(to.get(), from.get(), row, count);
      conversion.write(out, row, to.get(), count);
    }
  });
  return statistics;
}

// Returns the dtype of the parameters for the kernels of a GPU. The kernels can read the dtype of the input and the
// dtype of the computation.
Dtype parameter_type(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const bool as_input =
      (!weight.defined() || weight.dtype() == x.dtype()) && (!bias.defined() || bias.dtype() == x.dtype());
  return as_input ? x.dtype() : normalization_type(x);
}

// Like forward(), but on a GPU. Kernels convert elements when they read and write them, so tensors are not converted
// before. Statistics have the dtype of the computation.
Tensor forward_on_gpu(const LayerNormRows& r, const Tensor& input, const Tensor& weight, const Tensor& bias, double eps,
                      Tensor& out) {
  const Tensor x = contiguous(input), statistics = empty({r.count, 2}, normalization_type(x));
  out = empty(x.shape(), x.dtype());
  const Dtype type = parameter_type(x, weight, bias);
  cuda::normalize_rows(out, statistics, x, prepared(weight, type), prepared(bias, type), r.centred, eps);
  return statistics;
}
Gradients backward_on_gpu(const LayerNormRows& r, const Tensor& given, const Tensor& input, const Tensor& weight,
                          const Tensor& statistics, bool columns) {
  const Tensor x = contiguous(input), grad = prepared(given, x.dtype());
  Gradients out{empty(x.shape(), x.dtype()), {}, {}};
  cuda::normalize_rows_backward(out.input, grad, x, prepared(weight, parameter_type(x, weight, {})), statistics,
                                r.centred);
  if (columns) {
    out.weight = empty({r.length}, statistics.dtype());
    out.bias = empty({r.length}, statistics.dtype());
    cuda::normalize_rows_weights(out.weight, out.bias, grad, x, statistics);
  }
  return out;
}

// The number of parts in which columns are summed. It is fixed, so that the order of additions does not depend on the
// number of threads.
constexpr int64_t kParts = 16;

Gradients backward(const LayerNormRows& r, const Tensor& grad, const Tensor& x, const Tensor& weight,
                   const Tensor& statistics, bool columns) {
  const RowConversion conversion{x.dtype(), normalization_type(x), r.length};
  const int kind = conversion.computed == Dtype::float64;
  const auto& table = kernels::networks();
  const auto* m = reinterpret_cast<const kernels::Moments*>(statistics.bytes());
  const bool together = r.together(kernels::kShortNormGradient);
  const int64_t parts = std::max<int64_t>(1, std::min(kParts, r.count / (together ? 32 : 4))),
                bytes = r.length * item_size(conversion.computed);
  Gradients out;
  out.input = empty(x.shape(), x.dtype());
  Tensor partial = columns ? zeros({2, parts, r.length}, Dtype::float64) : Tensor();
  const double n = double(r.length);
  // Computes the gradients of `count` rows from `first` on, and adds their contributions to the gradients of the
  // weights and biases.
  const auto differentiate = [&](char* to, const char* g, const char* from, int64_t first, int64_t count,
                                 double* weights, double* biases) {
    if (together)
      return table.short_rows_gradient[kind](to, g, from, bytes_at(weight, 0), count, r.length, r.centred, m + first,
                                             weights, biases);
    for (int64_t i = first; i < first + count; ++i, to += bytes, g += bytes, from += bytes) {
      Sums sums;
      table.norm_sums[kind](g, from, bytes_at(weight, 0), r.length, m[i].mean, &sums.values, &sums.squares);
      const RowGradient line(m[i].rstd, r.centred ? sums.values / n : 0, sums.squares * m[i].rstd / n);
      table.norm_gradient[kind](to, g, from, bytes_at(weight, 0), r.length, m[i].mean, m[i].rstd, line.of_in,
                                line.constant);
      if (columns) table.norm_columns[kind](g, from, r.length, m[i], weights, biases);
    }
  };
  parallel_items(parts, std::max<int64_t>(1, r.grain() * parts / std::max<int64_t>(1, r.count)),
                 [&](int64_t begin, int64_t end) {
                   const int64_t scratch = conversion.is_needed() ? conversion.scratch_bytes() : 1;
                   const Block to(scratch), g(scratch), from(scratch);
                   for (int64_t part = begin; part < end; ++part) {
                     const int64_t first = r.count * part / parts, last = r.count * (part + 1) / parts;
                     double* weights = columns ? partial.data<double>() + part * r.length : nullptr;
                     double* biases = columns ? partial.data<double>() + (parts + part) * r.length : nullptr;
                     if (!conversion.is_needed()) {
                       differentiate(conversion.address(out.input, first), conversion.address(grad, first),
                                     conversion.address(x, first), first, last - first, weights, biases);
                       continue;
                     }
                     for (int64_t row = first; row < last; row += conversion.rows_together()) {
                       const int64_t count = std::min(conversion.rows_together(), last - row);
                       conversion.read(g.get(), grad, row, count);
                       conversion.read(from.get(), x, row, count);
                       differentiate(to.get(), g.get(), from.get(), row, count, weights, biases);
                       conversion.write(out.input, row, to.get(), count);
                     }
                   }
                 });
  if (columns) {
    const Tensor total = sum(partial, Shape{1}, false, std::nullopt);
    out.weight = select(total, 0, 0);
    out.bias = select(total, 0, 1);
  }
  return out;
}

// Computes the derivative with differentiable tensor operators, for higher derivatives.
void differentiable_backward(const Context& c, const LayerNormRows& r, int normalized, double eps) {
  const Tensor &x = c.saved(0), &w = c.saved(1), &g = c.gradient();
  Shape last, leading;
  for (int i = 0; i < x.dim(); ++i) (i < x.dim() - normalized ? leading : last).push_back(i);
  const Tensor centred = r.centred ? x - mean(x, last, true, std::nullopt) : x;
  const Tensor inverse = rsqrt(mean(square(centred), last, true, std::nullopt) + Scalar(eps)), h = centred * inverse;
  if (c.needs(0)) {
    const Tensor scaled = w.defined() ? g * w : g, product = mean(scaled * h, last, true, std::nullopt);
    const Tensor inner = scaled - h * product;
    c.set(0, (r.centred ? inner - mean(scaled, last, true, std::nullopt) : inner) * inverse);
  }
  const auto over_rows = [&](const Tensor& t) { return leading.empty() ? t : sum(t, leading, false, std::nullopt); };
  if (c.needs(1)) c.set(1, over_rows(g * h));
  if (c.needs(2)) c.set(2, over_rows(g));
}

// Prints the sizes at the end of a list, each after a comma.
struct TrailingSizes {
  const Shape& sizes;
};
std::ostream& operator<<(std::ostream& out, const TrailingSizes& list) {
  for (int64_t size : list.sizes) out << ", " << size;
  return out;
}

void check(const char* name, const Tensor& input, const Shape& normalized, const Tensor& weight, const Tensor& bias) {
  require(!normalized.empty(), name, ": expected normalized_shape to be at least 1-dimensional, i.e., containing at ",
          "least one element, but got normalized_shape = ", normalized);
  for (const Tensor* t : {&weight, &bias})
    require(!t->defined() || t->shape() == normalized, name, ": expected ", t == &weight ? "weight" : "bias",
            " to be of same shape as normalized_shape, but got ", t == &weight ? "weight" : "bias", " of shape ",
            t->defined() ? t->shape() : Shape(), " and normalized_shape = ", normalized);
  const size_t dims = normalized.size(), have = input.shape().size();
  require(have >= dims && Shape(input.shape().end() - dims, input.shape().end()) == normalized, name,
          ": given normalized_shape=", normalized, ", expected input with shape [*", TrailingSizes{normalized},
          "], but got input of size ", input.shape());
  require<NotImplementedError>(is_floating(input.dtype()) || is_complex(input.dtype()), "\"", name,
                               "\" not implemented for '", input.dtype(), "'");
}

Tensor normalize(const char* node, bool centred, const Tensor& input, const Shape& normalized, const Tensor& weight,
                 const Tensor& bias, double eps, Tensor& statistics) {
  const int dims = int(normalized.size());
  const int64_t length = product(normalized), count = length ? input.numel() / length : 0;
  const LayerNormRows rows{count, length, centred};
  Tensor out;
  {
    NoRecording off;
    const Dtype type = normalization_type(input);
    statistics = cuda::runs_on_gpu(input)
                     ? forward_on_gpu(rows, input, weight, bias, eps, out)
                     : forward(rows, contiguous(input), prepared(weight, type), prepared(bias, type), eps, out);
  }
  if (recording(input, weight, bias))
    record(node, out, {&input, &weight, &bias}, {&input, &weight, &statistics},
           [rows, dims, eps, shape = normalized](const Context& c) {
             if (recording_enabled() || c.gradient().is_meta()) return differentiable_backward(c, rows, dims, eps);
             const Tensor &x = c.saved(0), &w = c.saved(1);
             const Dtype type = normalization_type(x);
             const bool columns = c.needs(1) || c.needs(2);
             const Gradients g = cuda::runs_on_gpu(x) ? backward_on_gpu(rows, c.gradient(), x, w, c.saved(2), columns)
                                                      : backward(rows, prepared(c.gradient(), x.dtype()), contiguous(x),
                                                                 prepared(w, type), c.saved(2), columns);
             if (c.needs(0)) c.set(0, g.input);
             if (c.needs(1)) c.set(1, to(reshape(g.weight, shape), w.dtype()));
             if (c.needs(2)) c.set(2, to(reshape(g.bias, shape), w.defined() ? w.dtype() : x.dtype()));
           });
  return out;
}

// Computes RMS normalisation of complex numbers. As in PyTorch, the divisor is complex, because it is computed from the
// squares of the numbers instead of their squared absolute values.
Tensor complex_rms_norm(const Tensor& input, const Shape& normalized, const Tensor& weight, double eps) {
  check("rms_norm", input, normalized, weight, Tensor());
  Shape last;
  for (int i = 0; i < int(normalized.size()); ++i) last.push_back(-1 - i);
  const Tensor out = input * rsqrt(mean(square(input), last, true, std::nullopt) + Scalar(eps));
  return weight.defined() ? out * weight : out;
}

}  // namespace

bool NormalizedRows::are_faster_together(int64_t count, int64_t length, Dtype dtype) {
  return LayerNormRows{count, length, true}.together(kernels::kShortNormalizedBytes / item_size(dtype));
}

void normalize_rows(const NormalizedRows& r, int kind, char* out, const char* in, const char* weight, const char* bias,
                    int64_t count, double eps, kernels::Moments* m) {
  const auto& table = kernels::networks();
  if (r.together) return table.normalize_short_rows[kind](out, in, weight, bias, count, r.length, r.centred, eps, m);
  const int64_t bytes = r.length * (kind ? 8 : 4);
  for (int64_t i = 0; i < count; ++i, in += bytes, out += bytes) {
    m[i] = moments_of(in, r, eps, kind);
    table.normalize_row[kind](out, in, weight, bias, r.length, m[i]);
  }
}

Normalized layer_norm(const Tensor& input, const Shape& normalized, const Tensor& weight, const Tensor& bias,
                      double eps) {
  check("layer_norm", input, normalized, weight, bias);
  require<NotImplementedError>(!is_complex(input.dtype()), "\"layer_norm\" not implemented for '", input.dtype(), "'");
  Normalized result;
  Tensor statistics;
  result.values = normalize("NativeLayerNorm", true, input, normalized, weight, bias, eps, statistics);
  result.statistics = statistics;
  return result;
}

Tensor rms_norm(const Tensor& input, const Shape& normalized, const Tensor& weight, std::optional<double> eps) {
  const bool is_double = input.dtype() == Dtype::float64 || input.dtype() == Dtype::complex128;
  const double least =
      is_double ? std::numeric_limits<double>::epsilon() : double(std::numeric_limits<float>::epsilon());
  if (is_complex(input.dtype())) return complex_rms_norm(input, normalized, weight, eps.value_or(least));
  check("rms_norm", input, normalized, weight, Tensor());
  Tensor statistics;
  return normalize("RmsNorm", false, input, normalized, weight, Tensor(), eps.value_or(least), statistics);
}

const Operator rms_norm_operator({.signature = "rms_norm(input, normalized_shape, weight=None, eps=None)",
                                  .forms = kFunction,
                                  .doc =
                                      R"(Compute input / sqrt(mean(input**2) + eps) * weight over the last dimensions.

The default of eps is the machine epsilon of the dtype. Gradient: input and weight, any order.)",
                                  .forward = rms_norm,
                                  .reference = "input / np.sqrt((input**2).mean(-1, keepdims=True) + eps) * weight",
                                  .samples = "f(2, 3), (3,), f(3), 1e-3"});

const Operator layer_norm_operator(
    {.signature = "layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-05, cudnn_enable=True)",
     .forms = kFunction,
     .doc =
         R"(Compute (input - mean) / sqrt(var + eps) * weight + bias over the last len(normalized_shape) dimensions.

The variance is biased. weight and bias have shape normalized_shape.

Gradient: input, weight and bias, any order. Source: Ba, Kiros, Hinton 2016, arXiv:1607.06450.)",
     .forward = [](const Tensor& x, const Shape& shape, const Tensor& w, const Tensor& b, double eps,
                   bool) { return layer_norm(x, shape, w, b, eps).values; },
     .reference =
         "(input - input.mean(-1, keepdims=True)) / np.sqrt(input.var(-1, keepdims=True) + eps) * weight + bias",
     .samples = "f(2, 3), (3,), f(3), f(3)"});

}  // namespace flambeau
