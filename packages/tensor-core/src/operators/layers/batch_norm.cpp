// Batch normalisation. Matrices (N, C) are processed by columns. Other tensors are processed by the contiguous elements
// of a channel in each sample.
#include <cmath>

#include "cuda/operators.h"
#include "flambeau/memory_format.h"
#include "flambeau/operator.h"
#include "flambeau/parallel.h"
#include "flambeau/pointwise/arithmetic.h"
#include "operators/layers/normalization.h"
#include "operators/pointwise/chain.h"

namespace flambeau {

namespace {

// If the number of contiguous elements of a channel in a sample is less than this, but more than one, the channels
// become the first dimension, so that the elements of a channel are contiguous across all samples.
constexpr int64_t kShortRun = 32;

// Permutes (N, C, ...) to (N, ..., C), and back.
Tensor channels_last(const Tensor& t) {
  Shape order{0};
  for (int i = 2; i < t.dim(); ++i) order.push_back(i);
  order.push_back(1);
  return permute(t, order);
}
Tensor channels_second(const Tensor& t) {
  Shape order{0, t.dim() - 1};
  for (int i = 1; i < t.dim() - 1; ++i) order.push_back(i);
  return permute(t, order);
}

struct Channels {
  // The contiguous values in one of three orders: the original one, (C, N, ...), or (N, ..., C) for channels-last
  // formats. Columns have the dtype of the computation; otherwise, the values have the dtype of the tensor.
  Tensor values;
  Dtype type;  // dtype of the computation
  ChannelLayout layout;
  MemoryFormat format;
  bool moved;
  Channels(const Tensor& t, Dtype type) : Channels(t, type, suggested_format(t)) {}
  Channels(const Tensor& t, Dtype computed, MemoryFormat order)
      : type(computed),
        layout(ChannelLayout::of(t)),
        format(order),
        moved(!last() && layout.inner > 1 && layout.inner < kShortRun && layout.batch > 1) {
    if (moved) layout = {1, layout.channels, layout.batch * layout.inner};
    if (last()) layout = {layout.batch * layout.inner, layout.channels, 1};
    values = prepared(last() ? channels_last(t) : moved ? transpose(t, 0, 1) : t, columns() ? type : t.dtype());
  }
  bool last() const { return format != MemoryFormat::Contiguous; }
  bool columns() const { return layout.inner == 1; }
  int kind() const { return type == Dtype::float64; }
  int64_t size() const { return item_size(values.dtype()); }
  // Returns the conversion of the elements of a channel in one sample.
  RowConversion conversion() const { return {values.dtype(), type, layout.inner}; }
  Tensor empty_like() const { return empty(values.shape(), values.dtype()); }
  Tensor restored(const Tensor& t, Dtype type) const {
    if (last()) return channels_second(to(t, type));
    return to(moved ? contiguous(transpose(t, 0, 1)) : t, type);
  }
};

// Calls body(channel) for every channel.
template <class F>
void over_channels(const ChannelLayout& l, F&& body) {
  parallel_items(l.channels, l.grain(l.batch * l.inner), [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) body(c);
  });
}

// over_columns() divides the columns into blocks and calls body(first column, number of columns). over_rows() divides
// the rows into blocks and calls body(first row, number of rows).
template <class F>
void over_columns(const ChannelLayout& l, F&& body) {
  constexpr int64_t kColumns = 64;
  parallel_items((l.channels + kColumns - 1) / kColumns, l.grain(l.batch * kColumns), [&](int64_t begin, int64_t end) {
    for (int64_t c = begin * kColumns; c < std::min(l.channels, end * kColumns); c += kColumns)
      body(c, std::min(kColumns, l.channels - c));
  });
}
template <class F>
void over_rows(const ChannelLayout& l, F&& body) {
  parallel_items(l.batch, l.grain(l.channels), [&](int64_t begin, int64_t end) { body(begin, end - begin); });
}

// Returns value(channel) for each channel, in the dtype of the kernels.
template <class F>
Tensor per_channel(const Channels& x, F&& value) {
  Tensor out = empty({x.layout.channels}, Dtype::float64);
  for (int64_t c = 0; c < x.layout.channels; ++c) out.data<double>()[c] = value(c);
  return to(out, x.type);
}

Tensor batch_forward(const Channels& x, const kernels::Moments* m, const Tensor& weight, const Tensor& bias) {
  const ChannelLayout& l = x.layout;
  Tensor out = x.empty_like();
  if (x.columns()) {
    const Tensor centre = per_channel(x, [&](int64_t c) { return m[c].mean; }),
                 scale = per_channel(x, [&](int64_t c) { return m[c].rstd * value_at(weight, c, 1); }),
                 shift = per_channel(x, [&](int64_t c) { return value_at(bias, c, 0); });
    over_rows(l, [&](int64_t row, int64_t rows) {
      const int64_t at = row * l.channels;
      kernels::networks().column_affine[x.kind()](out.bytes() + at * x.size(), bytes_at(x.values, at), rows, l.channels,
                                                  centre.bytes(), scale.bytes(), shift.bytes());
    });
    return out;
  }
  const auto affine = kernels::networks().affine[x.kind()];
  const RowConversion conversion = x.conversion();
  parallel_items(l.batch * l.channels, l.grain(l.inner), [&](int64_t begin, int64_t end) {
    const Block values(conversion.scratch_bytes()), results(conversion.scratch_bytes());
    for (int64_t i = begin; i < end; ++i) {
      const int64_t c = i % l.channels;
      conversion.store(out, i, results, [&](char* to) {
        affine(to, conversion.converted(x.values, i, values), l.inner, m[c].mean, m[c].rstd * value_at(weight, c, 1),
               value_at(bias, c, 0));
      });
    }
  });
  return out;
}

// Computes, for each channel, the sum of the gradient (the gradient of the bias) and the sum of the product of the
// gradient and the normalised values (the gradient of the weight).
void sum_gradients(const Channels& grad, const Channels& x, const kernels::Moments* m, Gradients& out) {
  const ChannelLayout& l = x.layout;
  double *products = out.weight.data<double>(), *grads = out.bias.data<double>();
  if (x.columns()) {
    Tensor centre = empty({l.channels}, Dtype::float64);
    for (int64_t c = 0; c < l.channels; ++c) centre.data<double>()[c] = m[c].mean;
    over_columns(l, [&](int64_t c, int64_t count) {
      kernels::networks().column_sums[x.kind()](bytes_at(grad.values, c), bytes_at(x.values, c), l.batch, count,
                                                l.channels, centre.data<double>() + c, grads + c, products + c);
    });
  } else {
    const RowConversion conversion = x.conversion(), of_grad = grad.conversion();
    over_channels(l, [&](int64_t c) {
      const Block values(conversion.scratch_bytes()), gradients(of_grad.scratch_bytes());
      for (int64_t i = c; i < l.batch * l.channels; i += l.channels)
        kernels::networks().norm_sums[x.kind()](of_grad.converted(grad.values, i, gradients),
                                                conversion.converted(x.values, i, values), nullptr, l.inner, m[c].mean,
                                                grads + c, products + c);
    });
  }
  if (x.values.numel() == 0) return;  // there are no statistics
  for (int64_t c = 0; c < l.channels; ++c) products[c] *= m[c].rstd;
}

Gradients batch_backward(const Channels& grad, const Channels& x, const Tensor& weight, const Tensor& statistics,
                         bool training) {
  const ChannelLayout& l = x.layout;
  const double n = double(l.batch * l.inner);
  const auto* m = reinterpret_cast<const kernels::Moments*>(statistics.bytes());
  Gradients out{x.empty_like(), zeros({l.channels}, Dtype::float64), zeros({l.channels}, Dtype::float64)};
  sum_gradients(grad, x, m, out);
  const double *products = out.weight.data<double>(), *grads = out.bias.data<double>();
  const auto scale = [&](int64_t c) { return m[c].rstd * value_at(weight, c, 1); };
  const auto line = [&](int64_t c) {
    const double share = training ? value_at(weight, c, 1) / n : 0;
    return RowGradient(m[c].rstd, grads[c] * share, products[c] * share);
  };
  if (x.columns()) {
    const Tensor centre = per_channel(x, [&](int64_t c) { return m[c].mean; }), of_grad = per_channel(x, scale),
                 of_in = per_channel(x, [&](int64_t c) { return line(c).of_in; }),
                 constant = per_channel(x, [&](int64_t c) { return line(c).constant; });
    over_rows(l, [&](int64_t row, int64_t rows) {
      const int64_t at = row * l.channels;
      kernels::networks().column_gradient[x.kind()](out.input.bytes() + at * x.size(), bytes_at(grad.values, at),
                                                    bytes_at(x.values, at), rows, l.channels, centre.bytes(),
                                                    of_grad.bytes(), of_in.bytes(), constant.bytes());
    });
    return out;
  }
  const RowConversion conversion = x.conversion(), of_grad = grad.conversion();
  parallel_items(l.batch * l.channels, l.grain(l.inner), [&](int64_t begin, int64_t end) {
    const Block values(conversion.scratch_bytes()), gradients(of_grad.scratch_bytes()),
        results(conversion.scratch_bytes());
    for (int64_t i = begin; i < end; ++i) {
      const int64_t c = i % l.channels;
      const RowGradient r = line(c);
      conversion.store(out.input, i, results, [&](char* to) {
        kernels::networks().norm_gradient[x.kind()](to, of_grad.converted(grad.values, i, gradients),
                                                    conversion.converted(x.values, i, values), nullptr, l.inner,
                                                    m[c].mean, scale(c), r.of_in, r.constant);
      });
    }
  });
  return out;
}

// Begins the in-place changes of both running statistics before either is changed, so that an error leaves both
// unchanged.
void begin_updates(const Tensor& running_mean, const Tensor& running_var, const char* name = "batch_norm") {
  for (const Tensor* t : {&running_mean, &running_var})
    if (t->defined()) begin_inplace(*t, name);
}

void update_running_on_gpu(const Tensor& running, const Tensor& values, double momentum) {
  if (!running.defined()) return;
  const Tensor end = reshape(values, running.shape());
  const Operand operands[] = {running, end, Scalar(momentum)};
  cuda::pointwise(row_of(op::lerp), cuda::kValue, running, operands, 3, values.dtype());
}

// Computes the forward pass on a GPU. Statistics, weights and biases have the dtype in which the kernels compute.
Tensor batch_forward_on_gpu(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                            const Tensor& weight, const Tensor& bias, bool training, double momentum, double eps,
                            Tensor& out) {
  const ChannelLayout l = ChannelLayout::of(x);
  const Dtype type = normalization_type(x);
  const bool computes_statistics = training && x.numel() > 0;
  const Tensor statistics = (computes_statistics ? empty : zeros)({l.channels, 2}, type);
  if (computes_statistics) {
    const Tensor running = empty({l.channels, 2}, type);
    cuda::channel_moments(statistics, running, x, l.batch, l.channels, l.inner, eps);
    begin_updates(running_mean, running_var);
    update_running_on_gpu(running_mean, select(running, 1, 0), momentum);
    update_running_on_gpu(running_var, select(running, 1, 1), momentum);
  } else if (!training) {
    const auto column = [&](const Tensor& t) { return reshape(to(t, type), {l.channels}); };
    copy_values(select(statistics, 1, 0), column(running_mean));
    copy_values(select(statistics, 1, 1), rsqrt(add(column(running_var), eps)));
  }
  out = empty(x.shape(), x.dtype());
  cuda::channel_elements(out, x, Tensor(), {statistics, weight, bias, {}, {}}, l.channels, l.inner, 0);
  return statistics;
}

Gradients batch_backward_on_gpu(const Tensor& grad, const Tensor& x, const Tensor& weight, const Tensor& statistics,
                                bool training) {
  const ChannelLayout l = ChannelLayout::of(x);
  const auto make = x.numel() > 0 ? empty : zeros;
  Gradients out{empty(x.shape(), x.dtype()), make({l.channels}, statistics.dtype()),
                make({l.channels}, statistics.dtype())};
  cuda::channel_sums(out.bias, out.weight, grad, x, statistics, 1, l.batch, l.channels, l.inner);
  cuda::ChannelNumbers numbers{statistics, weight, {}, {}, {}};
  if (training && x.numel() > 0) {
    numbers.grads = out.bias, numbers.products = out.weight;
    numbers.share = double(l.channels) / double(x.numel());
  }
  cuda::channel_elements(out.input, x, grad, numbers, l.channels, l.inner, 0);
  return out;
}

void differentiable_batch_backward(const Context& c, double eps, bool training) {
  const Tensor &x = c.saved(0), &w = c.saved(1), &statistics = c.saved(2), &g = c.gradient();
  const Shape dims = all_but_channel(x), shape = channel_shape(x);
  Tensor centred, inverse;
  if (training) {
    centred = x - mean(x, dims, true, std::nullopt);
    inverse = rsqrt(mean(square(centred), dims, true, std::nullopt) + Scalar(eps));
  } else {
    centred = x - reshape(to(select(statistics, 1, 0), x.dtype()), shape);
    inverse = reshape(to(select(statistics, 1, 1), x.dtype()), shape);
  }
  const Tensor h = centred * inverse, g_sum = sum(g, dims, true, std::nullopt),
               g_normal = sum(g * h, dims, true, std::nullopt);
  if (c.needs(0)) {
    const Scalar share(double(x.size(1)) / double(x.numel()));
    const Tensor scale = w.defined() ? inverse * reshape(w, shape) : inverse;
    c.set(0, training ? (g - (g_sum + h * g_normal) * share) * scale : g * scale);
  }
  if (c.needs(1)) c.set(1, reshape(g_normal, {x.size(1)}));
  if (c.needs(2)) c.set(2, reshape(g_sum, {x.size(1)}));
}

void update_running(const Tensor& running, const double* values, double momentum) {
  if (!running.defined()) return;
  if (running.dim() == 1) {
    dispatch_all(running.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (!is_complex_type<T> && !std::is_same_v<T, bool>)
        for (int64_t i = 0; i < running.numel(); ++i) {
          T& value = running.data<T>()[i * running.strides()[0]];
          value = convert<T>(convert<double>(value) * (1 - momentum) + values[i] * momentum);
        }
    });
    return;
  }
  Tensor batch = empty({running.numel()}, Dtype::float64);
  std::copy(values, values + running.numel(), batch.data<double>());
  copy_values(running, to(add(mul(to(running, Dtype::float64), 1 - momentum), mul(batch, momentum)), running.dtype()));
}

// Computes the mean and the biased variance of each column.
void column_statistics(const Channels& x, double* means, double* variances) {
  const ChannelLayout& l = x.layout;
  const auto moments = kernels::networks().column_moments[x.kind()];
  const double n = double(l.batch);
  over_columns(l, [&](int64_t c, int64_t count) {
    double zero[64] = {}, first[64] = {}, second[64] = {}, unused[64] = {};
    moments(bytes_at(x.values, c), l.batch, count, l.channels, zero, first, unused);
    for (int64_t i = 0; i < count; ++i) {
      means[c + i] = x.kind() ? first[i] / n : double(float(first[i] / n));
      variances[c + i] = 0;
    }
    moments(bytes_at(x.values, c), l.batch, count, l.channels, means + c, second, variances + c);
    for (int64_t i = 0; i < count; ++i) {
      const double rest = second[i] / n;
      means[c + i] += rest;
      variances[c + i] = std::max(variances[c + i] / n - rest * rest, 0.0);
    }
  });
}

// Returns the mean and the reciprocal standard deviation of each channel of the batch, (C, 2). Updates the running
// statistics.
Tensor batch_statistics(const Channels& x, const Tensor& running_mean, const Tensor& running_var, double momentum,
                        double eps) {
  const ChannelLayout& l = x.layout;
  Tensor statistics = empty({l.channels, 2}, Dtype::float64), both = empty({2, l.channels}, Dtype::float64);
  auto* m = reinterpret_cast<kernels::Moments*>(statistics.bytes());
  double *means = both.data<double>(), *variances = means + l.channels;
  if (x.columns())
    column_statistics(x, means, variances);
  else
    over_channels(l, [&](int64_t c) {
      const RowConversion conversion = x.conversion();
      const Block values(conversion.scratch_bytes());
      const Sums s = mean_and_variance(double(l.batch * l.inner), x.kind(), [&](Sums& sums, double centre) {
        for (int64_t i = c; i < l.batch * l.channels; i += l.channels)
          kernels::networks().moments[x.kind()](conversion.converted(x.values, i, values), l.inner, &sums.values,
                                                &sums.squares, centre);
      });
      means[c] = s.values;
      variances[c] = s.squares;
    });
  const double n = double(l.batch * l.inner);
  for (int64_t c = 0; c < l.channels; ++c) {
    m[c] = {means[c], 1 / std::sqrt(variances[c] + eps)};
    variances[c] *= n / (n - 1);
  }
  begin_updates(running_mean, running_var);
  update_running(running_mean, means, momentum);
  update_running(running_var, variances, momentum);
  return statistics;
}

Tensor running_statistics(const Tensor& running_mean, const Tensor& running_var, int64_t channels, double eps) {
  Tensor statistics = empty({channels, 2}, Dtype::float64);
  const Tensor mean = prepared(running_mean, Dtype::float64), var = prepared(running_var, Dtype::float64);
  auto* m = reinterpret_cast<kernels::Moments*>(statistics.bytes());
  for (int64_t c = 0; c < channels; ++c) m[c] = {mean.data<double>()[c], 1 / std::sqrt(var.data<double>()[c] + eps)};
  return statistics;
}

}  // namespace

ChannelLines inference_lines(const Shape& shape, Dtype dtype, const Tensor& running_mean, const Tensor& running_var,
                             const Tensor& weight, const Tensor& bias, double eps) {
  ChannelLines out;
  const int64_t channels = shape[1];
  for (const Tensor* t : {&running_mean, &running_var, &weight, &bias})
    if (t->defined() && t->numel() != channels) return out;
  const Tensor statistics = running_statistics(running_mean, running_var, channels, eps), w = prepared(weight, dtype),
               b = prepared(bias, dtype);
  const auto* m = reinterpret_cast<const kernels::Moments*>(statistics.bytes());
  for (int64_t c = 0; c < channels; ++c)
    out.lines.push_back({m[c].mean, m[c].rstd * value_at(w, c, 1), value_at(b, c, 0)});
  out.inner = product(shape) / (shape[0] * channels);
  return out;
}

namespace {

void check_batch_norm(const Tensor& input, std::initializer_list<const Tensor*> of_channels, bool has_statistics,
                      bool training) {
  require(input.dim() >= 2, "batch_norm: expected at least 2 dimensions (N, C, ...), got shape ", input.shape());
  const int64_t channels = input.size(1);
  for (const Tensor* t : of_channels)
    require(!t->defined() || t->numel() == channels, "batch_norm: running statistics, weight and bias need ", channels,
            " elements, one for each channel of the input ", input.shape(), ", got shape ",
            t->defined() ? t->shape() : Shape());
  require<NotImplementedError>(is_floating(input.dtype()), "\"batch_norm\" not implemented for '", input.dtype(), "'");
  require(training || has_statistics, "Expected running_mean and running_var to be defined when training=False");
  require<ValueError>(!training || input.numel() != channels || channels == 0,
                      "Expected more than 1 value per channel when training, got input size ", input.shape());
}

Normalized batch_norm_on_cpu(const Tensor& input, const Tensor& running_mean, const Tensor& running_var,
                             const Tensor& weight, const Tensor& bias, bool training, double momentum, double eps) {
  const Dtype type = normalization_type(input);
  const int64_t channels = input.size(1);
  if (input.is_meta())
    return {laid_out(empty(input.shape(), input.dtype()), suggested_format(input)),
            empty({channels, 2}, Dtype::float64)};
  const Channels x(input, type);
  const Tensor statistics = input.numel() == 0 ? zeros({channels, 2}, Dtype::float64)
                            : training         ? batch_statistics(x, running_mean, running_var, momentum, eps)
                                               : running_statistics(running_mean, running_var, channels, eps);
  const Tensor out = batch_forward(x, reinterpret_cast<const kernels::Moments*>(statistics.bytes()),
                                   prepared(weight, type), prepared(bias, type));
  return {x.restored(out, input.dtype()), statistics};
}

void batch_norm_backward(const Context& c, double eps, bool training) {
  if (recording_enabled() || c.gradient().is_meta()) return differentiable_batch_backward(c, eps, training);
  const Tensor& x = c.saved(0);
  const Dtype type = normalization_type(x);
  const Tensor weight = prepared(c.saved(1), type);
  if (cuda::runs_on_gpu(x)) {
    const Tensor gradient = prepared(c.gradient(), x.dtype());
    return set_affine(c, batch_backward_on_gpu(gradient, contiguous(x), weight, c.saved(2), training), x.dtype());
  }
  const Channels values(x, type);
  Gradients g = batch_backward(Channels(c.gradient(), type, values.format), values, weight, c.saved(2), training);
  g.input = values.restored(g.input, x.dtype());
  set_affine(c, g, x.dtype());
}

}  // namespace

Normalized batch_norm(const Tensor& input, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight,
                      const Tensor& bias, bool training, double momentum, double eps) {
  if (input.dim() == 1 && input.numel() == 0)  // as in PyTorch, an empty vector is copied
    return {clone(input), zeros({0, 2}, Dtype::float64)};
  check_batch_norm(input, {&running_mean, &running_var, &weight, &bias},
                   running_mean.defined() && running_var.defined(), training);
  Normalized result;
  {
    NoRecording off;
    const Dtype type = normalization_type(input);
    if (cuda::runs_on_gpu(input))
      result.statistics = batch_forward_on_gpu(contiguous(input), running_mean, running_var, prepared(weight, type),
                                               prepared(bias, type), training, momentum, eps, result.values);
    else
      result = batch_norm_on_cpu(input, running_mean, running_var, weight, bias, training, momentum, eps);
  }
  if (recording(input, weight, bias))
    record("NativeBatchNorm", result.values, {&input, &weight, &bias}, {&input, &weight, &result.statistics},
           [eps, training](const Context& c) { batch_norm_backward(c, eps, training); });
  return result;
}

// Applies batch normalisation to the tensor as (1, N * C, ...). The new running statistics are averages over the
// samples.
Tensor instance_norm(const Tensor& input, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight,
                     const Tensor& bias, bool use_input_stats, double momentum, double eps) {
  require(input.dim() >= 2, "instance_norm: expected an input (N, C, ...), got shape ", input.shape());
  require(use_input_stats || (running_mean.defined() && running_var.defined()),
          "Expected running_mean and running_var to be defined when use_input_stats is false");
  const int64_t samples = input.size(0), channels = input.size(1);
  for (const Tensor* t : {&running_mean, &running_var, &weight, &bias})
    require(!t->defined() || (t->dim() == 1 && t->numel() == channels),
            "instance_norm: running statistics, weight and ", "bias need ", channels,
            " elements, one for each channel of the input ", input.shape(), ", got shape ",
            t->defined() ? t->shape() : Shape());
  const auto each = [&](const Tensor& t) {
    return t.defined() ? reshape(expand(t, {samples, channels}), {samples * channels}) : t;
  };
  const auto private_copy = [&](const Tensor& t) { return t.defined() ? clone(detach(each(t))) : t; };
  Shape flat{1, samples * channels};
  flat.append(input.shape().begin() + 2, input.shape().end());
  const Tensor means = private_copy(running_mean), variances = private_copy(running_var);
  const Tensor out =
      batch_norm(reshape(input, flat), means, variances, each(weight), each(bias), use_input_stats, momentum, eps)
          .values;
  if (use_input_stats && samples > 0) {
    NoRecording off;
    begin_updates(running_mean, running_var, "instance_norm");
    const Tensor* const pairs[][2] = {{&running_mean, &means}, {&running_var, &variances}};
    for (const auto& [running, all] : pairs)
      if (running->defined())
        copy_values(*running, mean(reshape(*all, {samples, channels}), Shape{0}, false, std::nullopt));
  }
  return reshape(out, input.shape());
}

const Operator batch_norm_operator(
    {.signature =
         "batch_norm(input, weight=None, bias=None, running_mean=None, running_var=None, training=False, momentum=0.1, "
         "eps=1e-05, cudnn_enabled=False)",
     .forms = kFunction,
     .doc =
         R"(Compute (input - mean) / sqrt(var + eps) * weight + bias for each channel (dimension 1).

In training, the mean and biased variance of the batch are used, and the running statistics are updated in place.
Otherwise, the running statistics are used. cudnn_enabled has no effect.

Gradient: input, weight and bias. Source: Ioffe, Szegedy 2015, arXiv:1502.03167.)",
     .forward = [](const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& mean, const Tensor& var,
                   bool training, double momentum, double eps,
                   bool) { return batch_norm(x, mean, var, w, b, training, momentum, eps).values; },
     .reference = "(input - running_mean) / np.sqrt(running_var + eps) * weight + bias",
     .samples = "f(4, 3), f(3), f(3), f(3), p(3)"});

const Operator instance_norm_operator(
    {.signature = "instance_norm(input, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None, "
                  "running_var: Tensor | None, use_input_stats, momentum, eps, cudnn_enabled=False)",
     .forms = kFunction,
     .doc =
         R"(Apply batch_norm to each sample separately. The running statistics use the mean over the samples.

Gradient: input, weight and bias, any order. Source: Ulyanov, Vedaldi, Lempitsky 2016, arXiv:1607.08022.)",
     .forward = [](const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& mean, const Tensor& var,
                   bool use_input_stats, double momentum, double eps,
                   bool) { return instance_norm(x, mean, var, w, b, use_input_stats, momentum, eps); },
     .reference = "(input - input.mean(2, keepdims=True)) / np.sqrt(input.var(2, keepdims=True) + eps) * weight[:, "
                  "None] + bias[:, None]",
     .samples = "f(2, 3, 5), f(3), f(3), None, None, True, 0.1, 1e-5"});

}  // namespace flambeau
