// Batch normalisation and dropout.
#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "kernels/table.h"

namespace flambeau {

namespace {

Shape channel_shape(const Tensor& x) {  // of a per-channel vector, to broadcast against x
  Shape shape(size_t(x.dim()), 1);
  shape[1] = x.size(1);
  return shape;
}
Shape all_but_channel(const Tensor& x) {
  Shape dims;
  for (int i = 0; i < x.dim(); ++i)
    if (i != 1) dims.push_back(i);
  return dims;
}

struct Layout {
  int64_t batch, channels, inner;
};

// Per channel: mean and biased variance, in double over the two passes that accuracy asks for.
template <class T>
void statistics(const T* x, const Layout& l, double* mean, double* variance) {
  const double count = double(l.batch * l.inner);
  const auto& table = kernels::table();
  const auto total = table.reduce[int(kernels::Reduce::Sum)][int(compute_type(dtype_of<T>()))];
  const auto deviation = table.squared_deviation[std::is_same_v<T, double>];
  parallel_items(l.channels, std::max<int64_t>(1, 16384 / (l.batch * l.inner + 1)), [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      double sum = 0, squares = 0;
      for (int64_t n = 0; n < l.batch; ++n) {
        T part;
        total(reinterpret_cast<char*>(&part), reinterpret_cast<const char*>(x + (n * l.channels + c) * l.inner),
              l.inner, 1, 1);
        sum += double(part);
      }
      mean[c] = sum / count;
      for (int64_t n = 0; n < l.batch; ++n)
        squares += deviation(reinterpret_cast<const char*>(x + (n * l.channels + c) * l.inner), l.inner, mean[c]);
      variance[c] = squares / count;
    }
  });
}

}  // namespace

Tensor batch_norm(const Tensor& input, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight,
                  const Tensor& bias, bool training, double momentum, double eps) {
  if (input.dim() == 1 && input.numel() == 0) return clone(input);  // as in PyTorch: nothing to normalise
  require(input.dim() >= 2, "batch_norm: expected at least 2 dimensions (N, C, ...), got shape ", input.shape());
  require<NotImplementedError>(is_floating(input.dtype()), "\"batch_norm\" not implemented for '", input.dtype(), "'");
  const int64_t channels = input.size(1);
  for (const Tensor* t : {&running_mean, &running_var, &weight, &bias})
    require(!t->defined() || t->numel() == channels, "batch_norm: running statistics, weight and bias need ", channels,
            " elements, one for each channel of the input ", input.shape(), ", got shape ",
            t->defined() ? t->shape() : Shape());
  const Shape shape = channel_shape(input);
  if (!training) {
    require(running_mean.defined() && running_var.defined(),
            "Expected running_mean and running_var to be defined when training=False");
    const Tensor scale = rsqrt(running_var + Scalar(eps));
    Tensor out = (input - reshape(running_mean, shape)) * reshape(weight.defined() ? scale * weight : scale, shape);
    return to(bias.defined() ? out + reshape(bias, shape) : out, input.dtype());
  }
  const int64_t count = channels ? input.numel() / channels : 0;
  if (count == 0) {  // no values, no statistics
    const Tensor out = weight.defined() ? input * reshape(weight, shape) : input * Scalar(1.0);
    return to(bias.defined() ? out + reshape(bias, shape) : out, input.dtype());
  }
  require<ValueError>(count > 1, "Expected more than 1 value per channel when training, got input size ",
                      input.shape());
  const Dtype type = input.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32;
  Tensor mean = empty({channels}, Dtype::float64), variance = empty({channels}, Dtype::float64), out;
  {
    GradMode off(false);
    const Tensor x = contiguous(to(input, type));
    const Layout l{x.size(0), channels, x.numel() / (x.size(0) * channels)};
    if (type == Dtype::float64)
      statistics(x.data<double>(), l, mean.data<double>(), variance.data<double>());
    else
      statistics(x.data<float>(), l, mean.data<double>(), variance.data<double>());
    const Tensor scale =
        weight.defined() ? mul(rsqrt(add(variance, eps)), to(weight, Dtype::float64)) : rsqrt(add(variance, eps));
    Tensor shift = neg(mul(mean, scale));
    if (bias.defined()) shift = add(shift, to(bias, Dtype::float64));
    out = to(_add_scaled(reshape(to(shift, type), shape), x, reshape(to(scale, type), shape)), input.dtype());
    if (running_mean.defined()) {
      begin_inplace(running_mean, "batch_norm");
      copy_values(running_mean, add(mul(running_mean, 1 - momentum), to(mul(mean, momentum), running_mean.dtype())));
    }
    if (running_var.defined()) {
      begin_inplace(running_var, "batch_norm");
      const double unbias = double(count) / double(count - 1);
      copy_values(running_var,
                  add(mul(running_var, 1 - momentum), to(mul(variance, momentum * unbias), running_var.dtype())));
    }
  }
  if (recording(input, weight, bias))
    record("NativeBatchNorm", out, {&input, &weight, &bias}, {&input, &weight}, [eps](const Context& c) {
      const Tensor &x = c.saved(0), &w = c.saved(1), &g = c.gradient();
      const Shape dims = all_but_channel(x), shape = channel_shape(x);
      const Tensor mu = flambeau::mean(x, dims, true, std::nullopt), centred = x - mu;
      const Tensor inverse = rsqrt(flambeau::mean(square(centred), dims, true, std::nullopt) + Scalar(eps)),
                   normal = centred * inverse;
      const Tensor g_sum = sum(g, dims, true, std::nullopt), g_normal = sum(g * normal, dims, true, std::nullopt);
      if (c.needs(0)) {
        const Scalar share(double(x.size(1)) / double(x.numel()));
        const Tensor inner = g - (g_sum + normal * g_normal) * share;
        c.set(0, inner * (w.defined() ? inverse * reshape(w, shape) : inverse));
      }
      if (c.needs(1)) c.set(1, reshape(g_normal, {x.size(1)}));
      if (c.needs(2)) c.set(2, reshape(g_sum, {x.size(1)}));
    });
  return out;
}

namespace {

// Note [Dropout]
// The mask is a function of seed, offset and element, so the derivative draws it again instead of keeping it.
Tensor apply_mask(const Tensor& t, double p, uint64_t seed, uint64_t offset) {
  Tensor out;
  {
    GradMode off(false);
    const Dtype type = t.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32;
    const Tensor x = contiguous(to(t, type));
    out = empty(t.shape(), type);
    const double cut = p * 4294967296.0;
    const uint32_t threshold = cut >= 4294967295.0 ? 4294967295u : uint32_t(cut);
    const double scale = p < 1 ? 1 / (1 - p) : 0;
    constexpr int64_t kGroups = 16;  // of words drawn at a time
    const int64_t chunk = kGroups * kernels::kGroup, chunks = (t.numel() + chunk - 1) / chunk, size = item_size(type);
    const auto& table = kernels::table();
    parallel_items(chunks, 16, [&](int64_t begin, int64_t end) {
      alignas(64) uint32_t bits[kGroups * kernels::kGroup];
      for (int64_t i = begin; i < end; ++i) {
        table.random_bits(bits, kGroups, seed, offset + uint64_t(i * kGroups));
        table.dropout[type == Dtype::float64](out.bytes() + i * chunk * size, x.bytes() + i * chunk * size,
                                              std::min(chunk, t.numel() - i * chunk), threshold, scale, bits);
      }
    });
    out = to(out, t.dtype());
  }
  if (recording(t))
    record("Dropout", out, {&t}, {},
           [p, seed, offset](const Context& c) { c.set(0, apply_mask(c.gradient(), p, seed, offset)); });
  return out;
}

}  // namespace

Tensor dropout(const Tensor& input, double p, bool training, Generator* generator) {
  require<ValueError>(p >= 0 && p <= 1, "dropout probability has to be between 0 and 1, but got ", p);
  require<NotImplementedError>(is_floating(input.dtype()), "\"dropout\" not implemented for '", input.dtype(), "'");
  if (!training || p == 0) return input;
  if (p == 1) return mul(input, 0.0);
  Generator& g = generator ? *generator : default_generator();
  constexpr int64_t kChunk = 16 * kernels::kGroup;
  const int64_t chunks = (input.numel() + kChunk - 1) / kChunk;
  return apply_mask(input, p, g.seed(), g.reserve(chunks * 16));
}

}  // namespace flambeau
