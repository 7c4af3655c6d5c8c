// Group normalisation: all channels of a group are normalised together.
#include <cmath>

#include "cuda/operators.h"
#include "flambeau/memory_format.h"
#include "flambeau/operator.h"
#include "flambeau/parallel.h"
#include "operators/layers/normalization.h"

namespace flambeau {

namespace {

void check_affine(const char* name, const Tensor& input, const Tensor& weight, const Tensor& bias) {
  for (const Tensor* t : {&weight, &bias})
    require(!t->defined() || (t->dim() == 1 && t->numel() == input.size(1)), name, ": expected ",
            t == &weight ? "weight" : "bias", " to be a vector of size equal to the number of channels in input, ",
            input.size(1), ", but got shape ", t->defined() ? t->shape() : Shape(), " and input of shape ",
            input.shape());
  require<NotImplementedError>(is_floating(input.dtype()), "\"", name, "\" not implemented for '", input.dtype(), "'");
}

struct GroupGeometry {
  ChannelLayout layout;
  int64_t groups;
  int64_t members() const { return layout.channels / groups; }
  int64_t length() const { return members() * layout.inner; }
  int64_t rows() const { return layout.batch * groups; }
  RowConversion conversion(const Tensor& x) const { return {x.dtype(), normalization_type(x), length()}; }
};

Tensor group_forward(const GroupGeometry& g, const Tensor& x, const Tensor& weight, const Tensor& bias, double eps,
                     Tensor& out) {
  const RowConversion conversion = g.conversion(x);
  const int kind = conversion.computed == Dtype::float64;
  const int64_t size = item_size(conversion.computed), inner = g.layout.inner;
  out = empty(x.shape(), x.dtype());
  Tensor statistics = empty({g.rows(), 2}, Dtype::float64);
  if (x.is_meta()) return statistics;
  auto* m = reinterpret_cast<kernels::Moments*>(statistics.bytes());
  const auto& table = kernels::networks();
  parallel_items(g.rows(), g.layout.grain(g.length()), [&](int64_t begin, int64_t end) {
    const Block values(conversion.scratch_bytes()), results(conversion.scratch_bytes());
    for (int64_t row = begin; row < end; ++row) {
      const char* from = conversion.converted(x, row, values);
      const Sums s = mean_and_variance(double(g.length()), kind, [&](Sums& sums, double centre) {
        table.moments[kind](from, g.length(), &sums.values, &sums.squares, centre);
      });
      m[row] = {s.values, 1 / std::sqrt(s.squares + eps)};
      const int64_t channel = row % g.groups * g.members();
      conversion.store(out, row, results, [&](char* to) {
        if (inner == 1) {
          table.normalize_row[kind](to, from, bytes_at(weight, channel), bytes_at(bias, channel), g.length(), m[row]);
        } else {
          for (int64_t c = 0; c < g.members(); ++c)
            table.affine[kind](to + c * inner * size, from + c * inner * size, inner, m[row].mean,
                               m[row].rstd * value_at(weight, channel + c, 1), value_at(bias, channel + c, 0));
        }
      });
    }
  });
  return statistics;
}

Gradients group_backward(const GroupGeometry& g, const Tensor& grad, const Tensor& x, const Tensor& weight,
                         const Tensor& statistics) {
  const RowConversion conversion = g.conversion(x);
  const int kind = conversion.computed == Dtype::float64;
  const int64_t bytes = g.layout.inner * item_size(conversion.computed), inner = g.layout.inner;
  Gradients out;
  out.input = empty(x.shape(), x.dtype());
  Tensor sums = zeros({2, g.layout.batch, g.layout.channels}, Dtype::float64);  // the sums of grad and of grad * h
  double *grads = sums.data<double>(), *products = grads + g.layout.batch * g.layout.channels;
  const auto* m = reinterpret_cast<const kernels::Moments*>(statistics.bytes());
  const auto& table = kernels::networks();
  parallel_items(g.rows(), g.layout.grain(g.length()), [&](int64_t begin, int64_t end) {
    const Block grads_of_row(conversion.scratch_bytes()), values(conversion.scratch_bytes()),
        results(conversion.scratch_bytes());
    for (int64_t row = begin; row < end; ++row) {
      const char *of = conversion.converted(grad, row, grads_of_row), *from = conversion.converted(x, row, values);
      const int64_t first = row * g.members(), channel = row % g.groups * g.members();
      double mean_grad = 0, mean_product = 0;
      for (int64_t c = 0; c < g.members(); ++c) {
        table.norm_sums[kind](of + c * bytes, from + c * bytes, nullptr, inner, m[row].mean, grads + first + c,
                              products + first + c);
        products[first + c] *= m[row].rstd;
        mean_grad += grads[first + c] * value_at(weight, channel + c, 1) / double(g.length());
        mean_product += products[first + c] * value_at(weight, channel + c, 1) / double(g.length());
      }
      const RowGradient line(m[row].rstd, mean_grad, mean_product);
      conversion.store(out.input, row, results, [&](char* to) {
        for (int64_t c = 0; c < g.members(); ++c)
          table.norm_gradient[kind](to + c * bytes, of + c * bytes, from + c * bytes, nullptr, inner, m[row].mean,
                                    m[row].rstd * value_at(weight, channel + c, 1), line.of_in, line.constant);
      });
    }
  });
  const Tensor total = sum(sums, Shape{1}, false, std::nullopt);
  out.bias = select(total, 0, 0);
  out.weight = select(total, 0, 1);
  return out;
}

Tensor group_forward_on_gpu(const GroupGeometry& g, const Tensor& x, const Tensor& weight, const Tensor& bias,
                            double eps, Tensor& out) {
  const Tensor statistics = empty({g.rows(), 2}, normalization_type(x));
  out = empty(x.shape(), x.dtype());
  cuda::channel_moments(statistics, Tensor(), x, 1, g.rows(), g.length(), eps);
  cuda::channel_elements(out, x, Tensor(), {statistics, weight, bias, {}, {}}, g.layout.channels, g.layout.inner,
                         g.members());
  return statistics;
}

Gradients group_backward_on_gpu(const GroupGeometry& g, const Tensor& grad, const Tensor& x, const Tensor& weight,
                                const Tensor& statistics) {
  const Dtype type = statistics.dtype();
  const Shape shape{g.layout.batch, g.layout.channels};
  const Tensor grads = empty(shape, type), products = empty(shape, type);
  cuda::channel_sums(grads, products, grad, x, statistics, g.members(), 1, grads.numel(), g.layout.inner);
  const auto mean_of = [&](const Tensor& sums) {  // the mean over each group
    const Tensor each = reshape(weight.defined() ? sums * weight : sums, {g.rows(), g.members()});
    return contiguous(sum(each, Shape{1}, false, std::nullopt) * Scalar(1.0 / double(g.length())));
  };
  Gradients out;
  out.input = empty(x.shape(), x.dtype());
  cuda::channel_elements(out.input, x, grad, {statistics, weight, {}, mean_of(grads), mean_of(products)},
                         g.layout.channels, g.layout.inner, g.members());
  out.bias = sum(grads, Shape{0}, false, std::nullopt);
  out.weight = sum(products, Shape{0}, false, std::nullopt);
  return out;
}

// Computes the derivative with differentiable tensor operators, for higher derivatives.
void differentiable_group_backward(const Context& c, const GroupGeometry& g, double eps) {
  const Tensor &x = c.saved(0), &w = c.saved(1), &grad = c.gradient();
  const Shape rows{g.layout.batch, g.groups, g.length()}, last{2};
  const Tensor flat = reshape(x, rows), centred = flat - mean(flat, last, true, std::nullopt);
  const Tensor inverse = rsqrt(mean(square(centred), last, true, std::nullopt) + Scalar(eps)), h = centred * inverse;
  if (c.needs(0)) {
    const Tensor scaled = reshape(w.defined() ? grad * reshape(w, channel_shape(x)) : grad, rows);
    const Tensor means = mean(scaled, last, true, std::nullopt), product = mean(scaled * h, last, true, std::nullopt);
    c.set(0, reshape((scaled - means - h * product) * inverse, x.shape()));
  }
  if (c.needs(1)) c.set(1, sum(grad * reshape(h, x.shape()), all_but_channel(x), false, std::nullopt));
  if (c.needs(2)) c.set(2, sum(grad, all_but_channel(x), false, std::nullopt));
}

}  // namespace

Normalized group_norm(const Tensor& input, int64_t groups, const Tensor& weight, const Tensor& bias, double eps) {
  require(input.dim() >= 2, "Expected at least 2 dimensions for input tensor but received ", input.dim());
  require(groups > 0, "Expected num groups to be greater than 0, got ", groups);
  require(input.size(1) % groups == 0, "Expected number of channels in input to be divisible by num_groups, but got ",
          "input of shape ", input.shape(), " and num_groups=", groups);
  check_affine("group_norm", input, weight, bias);
  const GroupGeometry g{ChannelLayout::of(input), groups};
  Normalized result;
  {
    NoRecording off;
    const Dtype type = normalization_type(input);
    const Tensor w = prepared(weight, type), b = prepared(bias, type);
    result.statistics = cuda::runs_on_gpu(input) ? group_forward_on_gpu(g, contiguous(input), w, b, eps, result.values)
                                                 : group_forward(g, contiguous(input), w, b, eps, result.values);
    result.values = laid_out(result.values, result_format(input));
  }
  if (recording(input, weight, bias))
    record("NativeGroupNorm", result.values, {&input, &weight, &bias}, {&input, &weight, &result.statistics},
           [g, eps](const Context& c) {
             if (recording_enabled() || c.gradient().is_meta()) return differentiable_group_backward(c, g, eps);
             const Tensor& x = c.saved(0);
             const Dtype type = normalization_type(x);
             if (cuda::runs_on_gpu(x))
               return set_affine(c,
                                 group_backward_on_gpu(g, prepared(c.gradient(), x.dtype()), contiguous(x),
                                                       prepared(c.saved(1), type), c.saved(2)),
                                 x.dtype());
             set_affine(c,
                        group_backward(g, prepared(c.gradient(), x.dtype()), contiguous(x), prepared(c.saved(1), type),
                                       c.saved(2)),
                        x.dtype());
           });
  return result;
}

const Operator group_norm_operator(
    {.signature = "group_norm(input, num_groups, weight=None, bias=None, eps=1e-05, cudnn_enabled=True)",
     .forms = kFunction,
     .doc =
         R"(Normalise groups of channels: (input - mean) / sqrt(var + eps) * weight + bias.

The mean and the biased variance are computed for each of num_groups groups of channels (dimension 1). weight and bias
have one element for each channel.

Gradient: input, weight and bias, any order. Source: Wu, He 2018, arXiv:1803.08494.)",
     .forward = [](const Tensor& x, int64_t groups, const Tensor& w, const Tensor& b, double eps, bool) {
       return group_norm(x, groups, w, b, eps).values;
     }});

}  // namespace flambeau
