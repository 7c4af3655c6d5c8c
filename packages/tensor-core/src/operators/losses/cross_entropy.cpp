// Cross entropy of scores (logits) with class labels or with class probabilities.
#include <algorithm>
#include <cmath>

#include "core/working_memory.h"
#include "flambeau/operator.h"
#include "flambeau/operators/networks.h"
#include "flambeau/parallel.h"
#include "kernels/layers/networks.h"
#include "operators/losses/labelled.h"

namespace flambeau {

namespace {

// Returns a tensor with the shape of the scores that is 1 at the label of each sample and 0 elsewhere. It is 0
// everywhere for a sample with an ignored label.
Tensor one_hot_of(const Tensor& input, const Tensor& labels, int64_t ignore_index) {
  if (input.numel() == 0) return zeros(input.shape(), input.dtype());
  const int64_t dim = dim_of_classes(input);
  const Tensor valid = ne(labels, Scalar(ignore_index)), safe = unsqueeze(where(valid, labels, Scalar(0)), dim);
  return scatter_add(zeros(input.shape(), input.dtype()), dim, safe, unsqueeze(to(valid, input.dtype()), dim));
}

// The logarithm of the sum of exponentials, for each label, as `largest` + `rest`, where `largest` is the largest
// score. The rounded sum of both would make the softmax inaccurate if the scores are large. On a GPU, `largest` is this
// sum and `rest` is undefined.
struct Logarithms {
  Tensor largest, rest;
};

// Returns the gradient of the scores, (softmax - one-hot) * factor, with one factor for each label.
Tensor cross_entropy_gradient(const LabelledScores& l, int64_t ignore_index, const Tensor& scores,
                              const Logarithms& logarithms, const Tensor& factors) {
  if (cuda::runs_on_gpu(scores))
    return cuda::picked_gradient(l.gpu_scores(ignore_index), scores.shape(), factors, scores, logarithms.largest);
  Tensor out = empty(scores.shape(), scores.dtype());
  const int64_t step = l.classes * l.inner;
  dispatch_real(scores.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto kernel = kernels::networks().scaled_softmax[sizeof(T) == 8];
    const auto bytes = [](const T* p) { return reinterpret_cast<const char*>(p); };
    parallel_items(l.batch, std::max<int64_t>(1, 16384 / (step + 1)), [&](int64_t begin, int64_t end) {
      constexpr int64_t kTile = 128;
      T scaled[kTile];  // factor / sum of the exponentials of (score - largest)
      for (int64_t n = begin; n < end; ++n)
        for (int64_t first = 0; first < l.inner; first += kTile) {
          const int64_t width = std::min(kTile, l.inner - first), label = n * l.inner + first;
          for (int64_t i = 0; i < width; ++i)
            scaled[i] = factors.data<T>()[label + i] * std::exp(-logarithms.rest.data<T>()[label + i]);
          kernel(reinterpret_cast<char*>(out.data<T>() + n * step + first), bytes(scores.data<T>() + n * step + first),
                 l.classes, l.inner, width, bytes(logarithms.largest.data<T>() + label), bytes(scaled));
        }
      l.each(begin, end, ignore_index, [to = out.data<T>(), by = factors.data<T>()](int64_t i, int64_t label_offset) {
        to[label_offset] -= by[i];
      });
    });
  });
  return out;
}

// Computes the weighted mean of the losses on a GPU, without waiting for the sum of the weights. Sets `scale` to 1 /
// sum, or to 0 if the sum is 0.
Tensor mean_on_gpu(const Tensor& losses, const Tensor& weights, Tensor& scale) {
  const Tensor total = sum(weights, {}, false, std::nullopt);
  scale = where(eq(total, 0), Scalar(0.0), reciprocal(total));
  return sum(losses, {}, false, std::nullopt) / total;
}

struct FusedLosses {
  Tensor out;
  Logarithms logarithms;
  double scale = 1;     // 1 / sum of the weights for a mean, otherwise 1
  Tensor scale_on_gpu;  // the same factor as a tensor on the GPU, for a mean
};

FusedLosses fused_on_gpu(const LabelledScores& l, const Tensor& input, int64_t ignore_index, Reduction reduction) {
  FusedLosses f;
  const Tensor scores = contiguous(input);
  f.logarithms.largest = view(cuda::logsumexp(scores, l.batch, l.classes, l.inner), l.labels.shape());
  const Tensor losses = cuda::picked(l.gpu_scores(ignore_index), scores, f.logarithms.largest, l.of_class, l.weights);
  f.out = reduction == Reduction::Mean ? mean_on_gpu(losses, l.weights, f.scale_on_gpu) : reduced(losses, reduction);
  return f;
}

Tensor losses_on_cpu(const LabelledScores& l, const Tensor& scores, const Logarithms& logarithms,
                     int64_t ignore_index) {
  const Tensor losses = empty(l.labels.shape(), scores.dtype());
  const int64_t step = l.classes * l.inner;
  dispatch_real(scores.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto kernel = kernels::networks().log_sum_exp[sizeof(T) == 8];
    parallel_items(l.batch, std::max<int64_t>(1, 16384 / (step + 1)), [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n)
        kernel(reinterpret_cast<const char*>(scores.data<T>() + n * step), l.classes, l.inner, l.inner,
               reinterpret_cast<char*>(logarithms.largest.data<T>() + n * l.inner),
               reinterpret_cast<char*>(logarithms.rest.data<T>() + n * l.inner));
      l.each(begin, end, ignore_index, [&](int64_t i, int64_t label_offset) {
        const T largest = logarithms.largest.data<T>()[i], rest = logarithms.rest.data<T>()[i];
        const T loss = rest + (largest - scores.data<T>()[label_offset]), w = l.weights.data<T>()[i];
        losses.data<T>()[i] = l.labels.data<int64_t>()[i] == ignore_index ? T(0) : w * loss;
      });
    });
  });
  return losses;
}

FusedLosses fused_on_cpu(const LabelledScores& l, const Tensor& input, int64_t ignore_index, Reduction reduction) {
  FusedLosses f;
  f.logarithms = {empty(l.labels.shape(), input.dtype()), empty(l.labels.shape(), input.dtype())};
  const Tensor losses = losses_on_cpu(l, contiguous(input), f.logarithms, ignore_index);
  if (reduction == Reduction::Mean) f.scale = 1.0 / total_of(l.weights);
  f.out = reduction == Reduction::None
              ? losses
              : to(scalar_tensor(Scalar(total_of(losses) * f.scale), input.dtype()), losses.device());
  if (std::isinf(f.scale)) f.scale = 0;  // all labels are ignored: the mean is NaN, and its gradient is 0
  return f;
}

// Computes the loss without label smoothing in one operator, from the logarithms of the sums of exponentials. It never
// stores the softmax.
Tensor fused_cross_entropy(const Tensor& input, const Tensor& target, const Tensor& weight, int64_t ignore_index,
                           Reduction reduction) {
  const int64_t dim = dim_of_classes(input);
  if (input.is_meta()) return loss_on_meta(log_softmax(input, dim, std::nullopt), target, reduction);
  const auto l = std::make_shared<const LabelledScores>(input, target, weight, ignore_index, input.dtype());
  FusedLosses f;
  {
    NoRecording off;
    f = cuda::runs_on_gpu(input) ? fused_on_gpu(*l, input, ignore_index, reduction)
                                 : fused_on_cpu(*l, input, ignore_index, reduction);
  }
  if (recording(input))
    record("CrossEntropy", f.out, {&input}, {&input, &f.logarithms.largest, &f.logarithms.rest, &l->labels},
           [all = l, ignore_index, dim, scale = f.scale, scale_on_gpu = f.scale_on_gpu](const Context& c) {
             const LabelledScores l = all->with(c.saved(3), ignore_index);
             const Tensor &x = c.saved(0), g = scale_on_gpu.defined() ? c.gradient() * scale_on_gpu : c.gradient();
             const Tensor factors = l.weights * g * Scalar(scale);
             if (!recording_enabled())
               return c.set(0, cross_entropy_gradient(l, ignore_index, contiguous(x), {c.saved(1), c.saved(2)},
                                                      contiguous(factors)));
             const Tensor difference = softmax(x, dim, std::nullopt) - one_hot_of(x, l.labels, ignore_index);
             c.set(0, difference * unsqueeze(factors, dim));
           });
  return f.out;
}

Tensor times_weight(const Tensor& logarithms, const Tensor& weight) {
  if (!weight.defined()) return logarithms;
  Shape shape(size_t(logarithms.dim()), 1);
  shape[dim_of_classes(logarithms)] = weight.numel();
  return logarithms * reshape(weight, shape);
}

Tensor of_probabilities(const Tensor& input, const Tensor& target, const Tensor& weight, Reduction reduction,
                        double label_smoothing) {
  require(target.shape() == input.shape(), "cross_entropy: a target of dtype ", target.dtype(),
          " holds class probabilities and needs the input's shape ", input.shape(), ", got ", target.shape(),
          "; class indices are int64: target.long()");
  const int64_t dim = dim_of_classes(input), classes = input.size(dim);
  Tensor p = to(target, input.dtype());
  if (label_smoothing > 0) p = p * Scalar(1 - label_smoothing) + Scalar(label_smoothing / double(classes));
  const Tensor logarithms = times_weight(log_softmax(input, dim, std::nullopt), weight);
  const Tensor losses = -sum(logarithms * p, Shape{dim}, false, std::nullopt);
  if (reduction != Reduction::Mean) return reduced(losses, reduction);
  return sum(losses, {}, false, std::nullopt) / Scalar(double(input.numel() / std::max<int64_t>(classes, 1)));
}

// Returns the term that label smoothing adds: for each sample, the sum of the losses with each class as the label. It
// is 0 for ignored labels.
Tensor of_all_classes(const Tensor& logarithms, const Tensor& target, const Tensor& weight, int64_t ignore_index,
                      Reduction reduction) {
  const Tensor labels = to(target, Dtype::int64), valid = ne(labels, Scalar(ignore_index));
  const Tensor totals = sum(times_weight(logarithms, weight), Shape{dim_of_classes(logarithms)}, false, std::nullopt);
  const Tensor losses = where(valid, -totals, Scalar(0.0));
  if (reduction != Reduction::Mean) return reduced(losses, reduction);
  Tensor weights = to(valid, logarithms.dtype());
  if (weight.defined()) weights = weights * weights_of(where(valid, labels, Scalar(0)), weight);
  return sum(losses, {}, false, std::nullopt) / sum(weights, {}, false, std::nullopt);
}

}  // namespace

Tensor cross_entropy(const Tensor& input, const Tensor& target, const Tensor& weight, int64_t ignore_index,
                     Reduction reduction, double label_smoothing) {
  require(label_smoothing >= 0 && label_smoothing <= 1,
          "label_smoothing must be between 0.0 and 1.0. Got: ", label_smoothing);
  require<ValueError>(input.dim() >= 1, "Expected 1 or more dimensions (got ", input.dim(), ")");
  check_floating_scores(input, target, "cross_entropy");
  if (is_vector_of_one(input, target))
    return cross_entropy(input, reshape(target, {}), weight, ignore_index, reduction, label_smoothing);
  const int64_t dim = dim_of_classes(input), classes = input.size(dim);
  check_weight(weight, classes);
  if (is_floating(target.dtype())) return of_probabilities(input, target, weight, reduction, label_smoothing);
  check_classes(input, target, ignore_index, "cross_entropy");
  const bool real = input.dtype() == Dtype::float32 || input.dtype() == Dtype::float64;
  if (real && label_smoothing == 0 && classes > 0 && !recording(weight))
    return fused_cross_entropy(input, target, weight, ignore_index, reduction);
  const Tensor logarithms = log_softmax(input, dim, std::nullopt);
  const Tensor plain = nll_loss(logarithms, target, weight, ignore_index, reduction);
  if (label_smoothing == 0) return plain;
  const Tensor smooth = of_all_classes(logarithms, target, weight, ignore_index, reduction);
  return plain * Scalar(1 - label_smoothing) + smooth * Scalar(label_smoothing / double(classes));
}

const Operator cross_entropy_operator(
    {.signature = "cross_entropy(input, target, weight=None, ignore_index=-100, reduction='mean', label_smoothing=0.0)",
     .forms = kFunction | kFloat32,
     .doc =
         R"(Compute the cross entropy of logits (N, C, ...) with class indices (N, ...) or probabilities (N, C, ...).

Raises IndexError for a class outside [0, C). Gradient: input (and probabilities), any order.)",
     .forward = cross_entropy,
     .reference = "-scipy.special.log_softmax(input, 1)[np.arange(len(target)), target].mean()",
     .samples = "f(4, 3), k(3, 4)"});

}  // namespace flambeau
