// Negative log-likelihood of classes, from log-probabilities.
#include <cmath>

#include "core/working_memory.h"
#include "flambeau/operator.h"
#include "flambeau/operators/networks.h"
#include "operators/losses/labelled.h"

namespace flambeau {

namespace {

// Returns, for each label, its negative score times its weight.
Tensor negative_scores(const LabelledScores& l, const Tensor& scores, int64_t ignore_index) {
  if (cuda::runs_on_gpu(scores))
    return cuda::picked(l.gpu_scores(ignore_index), scores, Tensor(), l.of_class, l.weights);
  const Tensor losses = empty(l.labels.shape(), scores.dtype());
  dispatch_real(scores.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto *from = scores.data<T>(), *weights = l.weights.data<T>();
    const int64_t* labels = l.labels.data<int64_t>();
    l.each(0, l.batch, ignore_index, [=, to = losses.data<T>()](int64_t i, int64_t label_offset) {
      to[i] = labels[i] == ignore_index ? T(0) : -from[label_offset] * weights[i];
    });
  });
  return losses;
}

// Computes the loss with operators that are differentiable with respect to the class weights.
Tensor nll_loss_of_weights(const Tensor& input, const Tensor& target, const Tensor& weight, int64_t ignore_index,
                           Reduction reduction) {
  const Tensor labels = to(target, Dtype::int64), valid = ne(labels, Scalar(ignore_index));
  const Tensor each = where(valid, weights_of(where(valid, labels, Scalar(0)), weight), Scalar(0.0));
  const Tensor losses = nll_loss(input, target, Tensor(), ignore_index, Reduction::None) * each;
  if (reduction != Reduction::Mean) return reduced(losses, reduction);
  return sum(losses, {}, false, std::nullopt) / sum(each, {}, false, std::nullopt);
}

// Returns the gradient of the scores for losses without reduction.
Tensor nll_gradient(const LabelledScores& l, int64_t ignore_index, const Tensor& gradient, const Shape& shape) {
  if (cuda::runs_on_gpu(l.labels) && !recording_enabled())
    return cuda::picked_gradient(l.gpu_scores(ignore_index), shape, contiguous(gradient * l.weights), Tensor(),
                                 Tensor());
  if (product(shape) == 0) return zeros(shape, gradient.dtype());  // there are no classes, so all labels are ignored
  const int64_t dim = shape.size() == 1 ? 0 : 1;
  const Tensor safe = where(ne(l.labels, Scalar(ignore_index)), l.labels, Scalar(0));
  const Tensor share = unsqueeze(-(gradient * l.weights), dim);
  return scatter_add(zeros(shape, share.dtype()), dim, unsqueeze(safe, dim), share, Write::InPlace);
}

// Returns the sum of the losses divided by the sum of the weights, in the dtype of the losses.
Tensor weighted_mean(const Tensor& losses, const Tensor& weights) {
  const Tensor total = sum(losses, {}, false, std::nullopt);
  if (cuda::runs_on_gpu(losses)) {
    const Tensor all = sum(weights, {}, false, std::nullopt), none = eq(all, 0);
    return where(none, Scalar(NAN), total / where(none, Scalar(1.0), all));
  }
  const double weight_sum = total_of(weights);
  if (weight_sum == 0) return total * Scalar(0.0) + Scalar(NAN);  // as in PyTorch: NaN, with a gradient of 0
  return total * Scalar(1.0 / weight_sum);
}

}  // namespace

Tensor nll_loss(const Tensor& input, const Tensor& target, const Tensor& weight, int64_t ignore_index,
                Reduction reduction) {
  require<ValueError>(input.dim() >= 1, "Expected 1 or more dimensions (got ", input.dim(), ")");
  check_floating_scores(input, target, "nll_loss");
  if (is_vector_of_one(input, target)) return nll_loss(input, reshape(target, {}), weight, ignore_index, reduction);
  check_classes(input, target, ignore_index, "nll_loss");
  check_weight(weight, input.size(dim_of_classes(input)));
  if (input.is_meta()) return loss_on_meta(input, target, reduction);
  if (recording(weight)) return nll_loss_of_weights(input, target, weight, ignore_index, reduction);
  const bool narrow = input.dtype() == Dtype::float16 || input.dtype() == Dtype::bfloat16;
  const auto l = std::make_shared<const LabelledScores>(input, target, weight, ignore_index,
                                                        narrow ? Dtype::float32 : input.dtype());
  Tensor losses;
  {
    NoRecording off;
    losses = negative_scores(*l, contiguous(to(input, l->weights.dtype())), ignore_index);
  }
  if (recording(input))
    record("NllLoss", losses, {&input}, {&l->labels},
           [all = l, ignore_index, shape = input.shape(), type = input.dtype()](const Context& c) {
             c.set(0, to(nll_gradient(all->with(c.saved(0), ignore_index), ignore_index, c.gradient(), shape), type));
           });
  return to(reduction == Reduction::Mean ? weighted_mean(losses, l->weights) : reduced(losses, reduction),
            input.dtype());
}

const Operator nll_loss_operator(
    {.signature = "nll_loss(input, target, weight=None, ignore_index=-100, reduction='mean')",
     .forms = kFunction | kFloat32,
     .doc = "Compute the negative log likelihood of log-probabilities (N, C, ...) and class indices (N, ...). "
            "Gradient: input.",
     .forward = nll_loss,
     .reference = "-input[np.arange(len(target)), target].mean()",
     .samples = "f(4, 3), k(3, 4)"});

}  // namespace flambeau
