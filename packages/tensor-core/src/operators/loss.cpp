// Losses.
#include "flambeau/operators.h"

namespace flambeau {

namespace {

Tensor reduced(const Tensor& t, Reduction reduction) {
  if (reduction == Reduction::None) return t;
  return reduction == Reduction::Sum ? sum(t, {}, false, std::nullopt) : mean(t, {}, false, std::nullopt);
}

void check_classes(const Tensor& input, const Tensor& target, int64_t ignore_index, const char* name) {
  const int64_t classes = input.dim() == 1 ? input.size(0) : input.size(1);
  require(target.dtype() == Dtype::int64 || target.dtype() == Dtype::uint8, name,
          ": expected class indices of dtype int64 (or class probabilities of the input's shape), got ",
          target.dtype());
  Shape expected = input.shape();
  expected.erase(input.dim() == 1 ? 0 : 1);
  if (!(target.shape() == expected)) {
    require<ValueError>(target.dim() > 0 && input.dim() > 1 && target.size(0) == input.size(0),
                        "Expected input batch_size (", input.size(0), ") to match target batch_size (",
                        target.dim() ? target.size(0) : 0, "): shapes ", input.shape(), " and ", target.shape());
    require(false, name, ": the input of shape ", input.shape(), " needs a target of shape ", expected, ", got ",
            target.shape());
  }
  const Tensor t = contiguous(to(target, Dtype::int64));
  for (int64_t i = 0; i < t.numel(); ++i) {
    const int64_t label = t.data<int64_t>()[i];
    require<IndexError>(label == ignore_index || (label >= 0 && label < classes), "Target ", label,
                        " is out of bounds: the input has ", classes, " classes (0 to ", classes - 1, ")");
  }
}

void check_weight(const Tensor& weight, int64_t classes) {
  require(!weight.defined() || (weight.dim() == 1 && weight.size(0) == classes),
          "weight tensor should be defined either for all ", classes,
          " classes or no classes but got weight tensor of shape: ", weight.defined() ? weight.shape() : Shape());
}

// The usual case in one operator: (N, C) logits, N class indices, no weights, no smoothing.
Tensor fused_cross_entropy(const Tensor& input, const Tensor& target, int64_t ignore_index, bool mean) {
  Tensor logs, out;
  int64_t counted = 0;
  const int64_t n = input.size(0), classes = input.size(1);
  const Tensor labels = contiguous(to(target, Dtype::int64));
  {
    GradMode off(false);
    logs = log_softmax(input, 1, std::nullopt);
    double total = 0;
    const auto add_up = [&](const auto* values) {
      for (int64_t i = 0; i < n; ++i) {
        const int64_t label = labels.data<int64_t>()[i];
        if (label == ignore_index) continue;
        total -= double(values[i * classes + label]);
        ++counted;
      }
    };
    if (input.dtype() == Dtype::float64)
      add_up(logs.data<double>());
    else
      add_up(logs.data<float>());
    out = scalar_tensor(Scalar(mean ? total / double(counted) : total), input.dtype());
  }
  if (recording(input))
    record("CrossEntropy", out, {&input}, {&input, &labels, &logs},
           [ignore_index, scale = mean ? 1.0 / double(counted) : 1.0](const Context& c) {
             const Tensor &x = c.saved(0), &labels = c.saved(1), &logs = c.saved(2), &g = c.gradient();
             const int64_t n = x.size(0), classes = x.size(1);
             GradMode keep(grad_enabled());
             if (grad_enabled()) {
               const Tensor valid = ne(labels, Scalar(ignore_index));
               const Tensor hit = scatter_add(zeros(x.shape(), x.dtype()), 1,
                                              unsqueeze(where(valid, labels, Scalar(0)), 1), ones({n, 1}, x.dtype()));
               return c.set(
                   0, (softmax(x, 1, std::nullopt) - hit) * (to(unsqueeze(valid, 1), x.dtype()) * (g * Scalar(scale))));
             }
             Tensor out = exp(logs);
             const double factor = item(g).real() * scale;
             const auto finish = [&](auto* values) {
               using T = std::remove_pointer_t<decltype(values)>;
               for (int64_t i = 0; i < n; ++i, values += classes) {
                 const int64_t label = labels.data<int64_t>()[i];
                 const T f = label == ignore_index ? T(0) : T(factor);
                 if (label != ignore_index) values[label] -= T(1);
                 for (int64_t j = 0; j < classes; ++j) values[j] *= f;
               }
             };
             if (out.dtype() == Dtype::float64)
               finish(out.data<double>());
             else
               finish(out.data<float>());
             c.set(0, out);
           });
  return out;
}

}  // namespace

Tensor nll_loss(const Tensor& input, const Tensor& target, const Tensor& weight, int64_t ignore_index,
                Reduction reduction) {
  require<ValueError>(input.dim() >= 1, "Expected 1 or more dimensions (got ", input.dim(), ")");
  check_classes(input, target, ignore_index, "nll_loss");
  const int64_t dim = input.dim() == 1 ? 0 : 1;
  check_weight(weight, input.size(dim));
  const Tensor labels = to(target, Dtype::int64), valid = ne(labels, Scalar(ignore_index));
  const Tensor safe = where(valid, labels, Scalar(0));
  const Tensor picked = squeeze(gather(input, dim, unsqueeze(safe, dim)), Shape{dim});
  Tensor weights = to(valid, input.dtype());
  if (weight.defined()) weights = weights * reshape(index_select(weight, 0, reshape(safe, {-1})), safe.shape());
  const Tensor losses = where(valid, -(picked * weights), Scalar(0.0));
  if (reduction != Reduction::Mean) return reduced(losses, reduction);
  return sum(losses, {}, false, std::nullopt) / sum(weights, {}, false, std::nullopt);
}

Tensor cross_entropy(const Tensor& input, const Tensor& target, const Tensor& weight, int64_t ignore_index,
                     Reduction reduction, double label_smoothing) {
  require(label_smoothing >= 0 && label_smoothing <= 1,
          "label_smoothing must be between 0.0 and 1.0. Got: ", label_smoothing);
  require<ValueError>(input.dim() >= 1, "Expected 1 or more dimensions (got ", input.dim(), ")");
  require<NotImplementedError>(is_floating(input.dtype()), "\"cross_entropy\" not implemented for '", input.dtype(),
                               "'");
  const int64_t dim = input.dim() == 1 ? 0 : 1, classes = input.size(dim);
  check_weight(weight, classes);
  if (is_floating(target.dtype())) {  // class probabilities
    require(target.shape() == input.shape(), "cross_entropy: class probabilities need the input's shape ",
            input.shape(), ", got ", target.shape());
    Tensor p = to(target, input.dtype());
    if (label_smoothing > 0) p = p * Scalar(1 - label_smoothing) + Scalar(label_smoothing / double(classes));
    Tensor logs = log_softmax(input, dim, std::nullopt);
    if (weight.defined()) {
      Shape shape(size_t(input.dim()), 1);
      shape[dim] = classes;
      logs = logs * reshape(weight, shape);
    }
    const Tensor losses = -sum(logs * p, Shape{dim}, false, std::nullopt);
    if (reduction != Reduction::Mean) return reduced(losses, reduction);
    return sum(losses, {}, false, std::nullopt) / Scalar(double(input.numel() / std::max<int64_t>(classes, 1)));
  }
  check_classes(input, target, ignore_index, "cross_entropy");
  if (input.dim() == 2 && !weight.defined() && label_smoothing == 0 && reduction != Reduction::None &&
      (input.dtype() == Dtype::float32 || input.dtype() == Dtype::float64))
    return fused_cross_entropy(input, target, ignore_index, reduction == Reduction::Mean);
  const Tensor logs = log_softmax(input, dim, std::nullopt);
  const Tensor plain = nll_loss(logs, target, weight, ignore_index, reduction);
  if (label_smoothing == 0) return plain;
  const Tensor labels = to(target, Dtype::int64), valid = ne(labels, Scalar(ignore_index));
  Tensor weighted = logs;
  if (weight.defined()) {
    Shape shape(size_t(input.dim()), 1);
    shape[dim] = classes;
    weighted = logs * reshape(weight, shape);
  }
  Tensor smooth = where(valid, -sum(weighted, Shape{dim}, false, std::nullopt), Scalar(0.0));
  if (reduction == Reduction::Mean) {
    Tensor weights = to(valid, input.dtype());
    const Tensor safe = where(valid, labels, Scalar(0));
    if (weight.defined()) weights = weights * reshape(index_select(weight, 0, reshape(safe, {-1})), safe.shape());
    smooth = sum(smooth, {}, false, std::nullopt) / sum(weights, {}, false, std::nullopt);
  } else {
    smooth = reduced(smooth, reduction);
  }
  return plain * Scalar(1 - label_smoothing) + smooth * Scalar(label_smoothing / double(classes));
}

Tensor mse_loss(const Tensor& input, const Tensor& target, Reduction reduction) {
  const Operand both[] = {input, target};
  const Dtype type = result_type(both, 2);
  require(is_floating(type), "mse_loss: expected floating-point inputs, got ", input.dtype(), " and ", target.dtype());
  Tensor out;
  double scale = 1;
  {
    GradMode off(false);
    out = square(input - target);
    if (reduction == Reduction::Mean) scale = 1.0 / double(out.numel());
    out = reduced(out, reduction);
  }
  if (recording(input, target))
    record("MseLoss", out, {&input, &target}, {&input, &target}, [scale](const Context& c) {
      const Tensor difference = (c.saved(0) - c.saved(1)) * (c.gradient() * Scalar(2 * scale));
      if (c.needs(0)) c.set(0, difference);
      if (c.needs(1)) c.set(1, -difference);
    });
  return out;
}

}  // namespace flambeau
