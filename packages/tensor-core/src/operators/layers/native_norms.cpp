// Normalisations that also return their statistics, as PyTorch's native functions do.
#include "flambeau/operator.h"
#include "flambeau/operators/networks.h"

namespace flambeau {

namespace {

// Returns a statistic of each row: the mean for column 0, or the reciprocal of the standard deviation for column 1.
Tensor statistic(const Normalized& n, int column, const Shape& shape) {
  return to(reshape(select(n.statistics, 1, column), shape), n.values.dtype());
}

// Returns the results of a group normalisation: the values, and the mean and the reciprocal standard deviation of each
// row. The statistics are differentiable if x is recorded.
Tensors moments(const Normalized& n, const Tensor& x, const Shape& as_rows, const Shape& shape, double eps) {
  if (!recording(x) || x.numel() == 0) return {n.values, statistic(n, 0, shape), statistic(n, 1, shape)};
  const Tensor rows = reshape(x, as_rows), means = mean(rows, Shape{-1}, true, {});
  const Tensor inverse = rsqrt(add(mean(square(sub(rows, means)), Shape{-1}, true, {}), eps));
  return {n.values, reshape(means, shape), reshape(inverse, shape)};
}

const Operator native_layer_norm_operator(
    {.signature = "native_layer_norm(input, normalized_shape, weight: Tensor | None, bias: Tensor | None, eps)",
     .forms = kFunction,
     .doc = "Return the result of layer_norm, and the mean and the reciprocal standard deviation of each row. "
            "Gradient: input, weight and bias, through the first result only, as in PyTorch.",
     .forward = [](const Tensor& x, const Shape& shape, const Tensor& w, const Tensor& b, double eps) {
       const Normalized n = layer_norm(x, shape, w, b, eps);
       Shape rows = x.shape();
       for (size_t i = rows.size() - shape.size(); i < rows.size(); ++i) rows[i] = 1;
       return Tensors{n.values, statistic(n, 0, rows), statistic(n, 1, rows)};
     }});

const Operator native_group_norm_operator(
    {.signature = "native_group_norm(input, weight: Tensor | None, bias: Tensor | None, N, C, HxW, group, eps)",
     .forms = kFunction,
     .doc = "Return the result of group_norm, and the mean and the reciprocal standard deviation of each group, both "
            "(N, group). Gradient: input, weight and bias, through all three results.",
     .forward = [](const Tensor& x, const Tensor& w, const Tensor& b, int64_t batch, int64_t channels, int64_t inner,
                   int64_t groups, double eps) {
       // Unsigned numbers, because the product of the given sizes may overflow.
       const uint64_t numbers = uint64_t(batch) * uint64_t(channels) * uint64_t(inner);
       require(x.dim() >= 2 && x.size(0) == batch && x.size(1) == channels && uint64_t(x.numel()) == numbers,
               "native_group_norm: N, C, HxW of ", Shape{batch, channels, inner}, " do not match the input of shape ",
               x.shape());
       const Normalized n = group_norm(x, groups, w, b, eps);
       return moments(n, x, {batch * groups, -1}, {batch, groups}, eps);
     }});

const Operator native_batch_norm_operator(
    {.signature = "native_batch_norm(input, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None, "
                  "running_var: Tensor | None, training, momentum, eps)",
     .forms = kFunction | kOut,
     .doc = "Return the result of batch_norm, and the mean and the reciprocal standard deviation of each channel (both "
            "empty unless training). Gradient: input, weight and bias, through the first result only.",
     .forward = [](const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& mean, const Tensor& var,
                   bool training, double momentum, double eps) {
       const Normalized n = batch_norm(x, mean, var, w, b, training, momentum, eps);
       if (!training) return Tensors{n.values, empty({0}, x.dtype()), empty({0}, x.dtype())};
       const Shape channels{n.statistics.size(0)};
       return Tensors{n.values, statistic(n, 0, channels), statistic(n, 1, channels)};
     }});

}  // namespace

}  // namespace flambeau
