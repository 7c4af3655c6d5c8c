// Losses.
#include <algorithm>
#include <cmath>

#include "cuda/operators.h"
#include "flambeau/networks.h"
#include "flambeau/parallel.h"
#include "kernels/networks.h"
#include "operators/convolution.h"

namespace flambeau {

namespace {

Tensor reduced(const Tensor& t, Reduction reduction) {
  if (reduction == Reduction::None) return t;
  return reduction == Reduction::Sum ? sum(t, {}, false, std::nullopt) : mean(t, {}, false, std::nullopt);
}

// The labels, contiguous, lie in [0, classes) but for the ignored ones.
void check_range(const Tensor& t, int64_t classes, int64_t ignore_index) {
  const int64_t *labels = t.data<int64_t>(), *end = labels + t.numel();
  const auto outside = [=](int64_t label) { return (label != ignore_index) & (uint64_t(label) >= uint64_t(classes)); };
  int64_t count = 0;
  for (const int64_t* label = labels; label < end; ++label) count += outside(*label);
  require<IndexError>(count == 0, "Target ", count ? *std::find_if(labels, end, outside) : 0,
                      " is out of bounds: the input has ", classes, " classes (0 to ", classes - 1, ")");
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
  if (target.is_meta() || cuda::takes(target)) return;  // a kernel looks as it reads them
  check_range(contiguous(to(target, Dtype::int64)), classes, ignore_index);
}

void check_weight(const Tensor& weight, int64_t classes) {
  require(!weight.defined() || (weight.dim() == 1 && weight.size(0) == classes),
          "weight tensor should be defined either for all ", classes,
          " classes or no classes but got weight tensor of shape: ", weight.defined() ? weight.shape() : Shape());
}

// The class of a single sample (C,), which programs also give as a vector of one.
bool is_vector_of_one(const Tensor& input, const Tensor& target) {
  return input.dim() == 1 && target.dim() == 1 && target.numel() == 1 && !is_floating(target.dtype());
}

// On the meta device, from log-probabilities: the shapes and the history, without the labels' values.
Tensor loss_on_meta(const Tensor& logarithms, const Tensor& target, Reduction reduction) {
  const int64_t dim = logarithms.dim() == 1 ? 0 : 1;
  const Tensor picked = gather(logarithms, dim, unsqueeze(to(target, Dtype::int64), dim));
  return reduced(-squeeze(picked, Shape{dim}), reduction);
}

// Class scores (N, C, ...) and their labels, one at each of the inner places of a sample.
struct Labelled {
  int64_t batch, classes, inner;
  Tensor labels, weights;  // int64, and in the scores' type: 0 where a label is ignored
  Tensor of_class;         // on a GPU, where a kernel makes the weights of these

  Labelled(const Tensor& input, const Tensor& target, const Tensor& weight, int64_t ignore_index, Dtype type)
      : labels(contiguous(to(target, Dtype::int64))) {
    batch = input.dim() == 1 ? 1 : input.size(0);
    classes = input.size(input.dim() == 1 ? 0 : 1);
    inner = batch ? labels.numel() / batch : 0;
    const Tensor each = weight.defined() ? contiguous(to(detach(weight), type)) : weight;
    weights = empty(labels.shape(), type);
    if (cuda::takes(labels)) {
      of_class = each;
      return;
    }
    dispatch_real(type, [&](auto tag) {
      using T = typename decltype(tag)::type;
      const int64_t* all = labels.data<int64_t>();
      T* out = weights.data<T>();
      if (const T* of_class = weight.defined() ? each.data<T>() : nullptr)
        for (int64_t i = 0; i < labels.numel(); ++i) out[i] = all[i] == ignore_index ? T(0) : of_class[all[i]];
      else
        for (int64_t i = 0; i < labels.numel(); ++i) out[i] = all[i] == ignore_index ? T(0) : T(1);
    });
  }
  // With the labels that the graph has saved: those here may be the caller's, who may have changed them since.
  Labelled with(const Tensor& saved, int64_t ignore_index) const {
    if (!cuda::takes(saved)) check_range(saved, classes, ignore_index);  // hooks may have unpacked anything
    Labelled out = *this;
    out.labels = saved;
    return out;
  }
  cuda::ClassScores there(int64_t ignore_index) const { return {batch, classes, inner, ignore_index, labels}; }
  // f(i, the place of label i among the scores) for the labels of the samples [begin, end); the place is that of class
  // 0 where the label is ignored.
  template <class F>
  FLAMBEAU_INLINE void each(int64_t begin, int64_t end, int64_t ignore_index, F&& f) const {
    const int64_t* all = labels.data<int64_t>();
    for (int64_t n = begin; n < end; ++n)
      for (int64_t i = n * inner, at = n * classes * inner; i < (n + 1) * inner; ++i, ++at)
        f(i, at + (all[i] == ignore_index ? 0 : all[i]) * inner);
  }
};

double total_of(const Tensor& t) { return item(sum(to(t, Dtype::float64), {}, false, std::nullopt)).real(); }

// 1 at the labels that count, 0 elsewhere, in the shape of the scores.
Tensor one_hot_of(const Tensor& input, const Tensor& labels, int64_t ignore_index) {
  const int64_t dim = input.dim() == 1 ? 0 : 1;
  const Tensor valid = ne(labels, Scalar(ignore_index)), safe = unsqueeze(where(valid, labels, Scalar(0)), dim);
  return scatter_add(zeros(input.shape(), input.dtype()), dim, safe, unsqueeze(to(valid, input.dtype()), dim));
}

// (softmax - one-hot) * factor, the factor one for each label.
Tensor cross_entropy_gradient(const Labelled& l, int64_t ignore_index, const Tensor& scores, const Tensor& logarithms,
                              const Tensor& factors) {
  if (cuda::takes(scores))
    return cuda::picked_gradient(l.there(ignore_index), scores.shape(), factors, scores, logarithms);
  Tensor out = empty(scores.shape(), scores.dtype());
  const int64_t step = l.classes * l.inner;
  dispatch_real(scores.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto kernel = kernels::networks().scaled_softmax[sizeof(T) == 8];
    const auto bytes = [](const T* p) { return reinterpret_cast<const char*>(p); };
    parallel_items(l.batch, std::max<int64_t>(1, 16384 / (step + 1)), [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n)
        kernel(reinterpret_cast<char*>(out.data<T>() + n * step), bytes(scores.data<T>() + n * step), l.classes,
               l.inner, l.inner, bytes(logarithms.data<T>() + n * l.inner), bytes(factors.data<T>() + n * l.inner));
      l.each(begin, end, ignore_index,
             [to = out.data<T>(), by = factors.data<T>()](int64_t i, int64_t place) { to[place] -= by[i]; });
    });
  });
  return out;
}

// The mean on a GPU, where nothing waits for the sum of the weights; `scale` becomes its inverse, 0 where that is 0.
Tensor mean_there(const Tensor& losses, const Tensor& weights, Tensor& scale) {
  const Tensor total = sum(weights, {}, false, std::nullopt);
  scale = where(eq(total, 0), Scalar(0.0), reciprocal(total));
  return sum(losses, {}, false, std::nullopt) / total;
}

// All but smoothing in one operator, over the logarithms of the sums of exponentials: the softmax is never written.
Tensor fused_cross_entropy(const Tensor& input, const Tensor& target, const Tensor& weight, int64_t ignore_index,
                           Reduction reduction) {
  if (input.is_meta())
    return loss_on_meta(log_softmax(input, input.dim() == 1 ? 0 : 1, std::nullopt), target, reduction);
  const Dtype type = input.dtype();
  const auto l = std::make_shared<const Labelled>(input, target, weight, ignore_index, type);
  Tensor scores, logarithms, losses, out, scale_there;
  double scale = 1;
  if (cuda::takes(input)) {
    NoRecording off;
    scores = contiguous(input);
    logarithms = view(cuda::logsumexp(scores, l->batch, l->classes, l->inner), l->labels.shape());
    losses = cuda::picked(l->there(ignore_index), scores, logarithms, l->of_class, l->weights);
    out = reduction == Reduction::Mean ? mean_there(losses, l->weights, scale_there) : reduced(losses, reduction);
  } else {
    NoRecording off;
    scores = contiguous(input);
    logarithms = empty(l->labels.shape(), type);
    losses = empty(l->labels.shape(), type);
    const int64_t step = l->classes * l->inner;
    dispatch_real(type, [&](auto tag) {
      using T = typename decltype(tag)::type;
      const auto kernel = kernels::networks().log_sum_exp[sizeof(T) == 8];
      parallel_items(l->batch, std::max<int64_t>(1, 16384 / (step + 1)), [&](int64_t begin, int64_t end) {
        for (int64_t n = begin; n < end; ++n)
          kernel(reinterpret_cast<const char*>(scores.data<T>() + n * step), l->classes, l->inner, l->inner,
                 reinterpret_cast<char*>(logarithms.data<T>() + n * l->inner),
                 reinterpret_cast<char*>(losses.data<T>() + n * l->inner));
        l->each(begin, end, ignore_index, [&](int64_t i, int64_t place) {
          T &largest = logarithms.data<T>()[i], rest = losses.data<T>()[i];
          const T loss = rest + (largest - scores.data<T>()[place]), w = l->weights.data<T>()[i];
          largest += rest;  // the logarithm as a whole, for the derivative
          losses.data<T>()[i] = l->labels.data<int64_t>()[i] == ignore_index ? T(0) : w * loss;
        });
      });
    });
    if (reduction == Reduction::Mean) scale = 1.0 / total_of(l->weights);
    out = reduction == Reduction::None ? losses
                                       : to(scalar_tensor(Scalar(total_of(losses) * scale), type), losses.device());
    if (std::isinf(scale)) scale = 0;  // no label counts: the mean is NaN, its gradient 0
  }
  if (recording(input))
    record("CrossEntropy", out, {&input}, {&input, &logarithms, &l->labels},
           [all = l, ignore_index, scale, scale_there](const Context& c) {
             const Labelled l = all->with(c.saved(2), ignore_index);
             const Tensor &x = c.saved(0), g = scale_there.defined() ? c.gradient() * scale_there : c.gradient();
             if (recording_enabled()) {
               const int64_t dim = x.dim() == 1 ? 0 : 1;
               const Tensor factors = unsqueeze(l.weights * g * Scalar(scale), dim);
               return c.set(0, (softmax(x, dim, std::nullopt) - one_hot_of(x, l.labels, ignore_index)) * factors);
             }
             const Tensor factors = contiguous(l.weights * g * Scalar(scale));
             c.set(0, cross_entropy_gradient(l, ignore_index, contiguous(x), c.saved(1), factors));
           });
  return out;
}

// Of the labels, times their weights.
Tensor negative_scores(const Labelled& l, const Tensor& scores, int64_t ignore_index) {
  if (cuda::takes(scores)) return cuda::picked(l.there(ignore_index), scores, Tensor(), l.of_class, l.weights);
  const Tensor losses = empty(l.labels.shape(), scores.dtype());
  dispatch_real(scores.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto *from = scores.data<T>(), *weights = l.weights.data<T>();
    const int64_t* labels = l.labels.data<int64_t>();
    l.each(0, l.batch, ignore_index, [=, to = losses.data<T>()](int64_t i, int64_t place) {
      to[i] = labels[i] == ignore_index ? T(0) : -from[place] * weights[i];
    });
  });
  return losses;
}

// With a gradient for the weights of the classes, too.
Tensor nll_loss_of_weights(const Tensor& input, const Tensor& target, const Tensor& weight, int64_t ignore_index,
                           Reduction reduction) {
  const Tensor labels = to(target, Dtype::int64), valid = ne(labels, Scalar(ignore_index));
  const Tensor safe = where(valid, labels, Scalar(0));
  const Tensor each = where(valid, reshape(index_select(weight, 0, reshape(safe, {-1})), safe.shape()), Scalar(0.0));
  const Tensor losses = nll_loss(input, target, Tensor(), ignore_index, Reduction::None) * each;
  if (reduction != Reduction::Mean) return reduced(losses, reduction);
  return sum(losses, {}, false, std::nullopt) / sum(each, {}, false, std::nullopt);
}

}  // namespace

Tensor nll_loss(const Tensor& input, const Tensor& target, const Tensor& weight, int64_t ignore_index,
                Reduction reduction) {
  require<ValueError>(input.dim() >= 1, "Expected 1 or more dimensions (got ", input.dim(), ")");
  if (is_vector_of_one(input, target)) return nll_loss(input, reshape(target, {}), weight, ignore_index, reduction);
  check_classes(input, target, ignore_index, "nll_loss");
  const int64_t dim = input.dim() == 1 ? 0 : 1;
  check_weight(weight, input.size(dim));
  require<NotImplementedError>(is_floating(input.dtype()), "\"nll_loss\" not implemented for '", input.dtype(), "'");
  if (input.is_meta()) return loss_on_meta(input, target, reduction);
  if (recording(weight)) return nll_loss_of_weights(input, target, weight, ignore_index, reduction);
  const bool narrow = input.dtype() == Dtype::float16 || input.dtype() == Dtype::bfloat16;
  const auto l =
      std::make_shared<const Labelled>(input, target, weight, ignore_index, narrow ? Dtype::float32 : input.dtype());
  Tensor losses;
  {
    NoRecording off;
    losses = negative_scores(*l, contiguous(to(input, l->weights.dtype())), ignore_index);
  }
  if (recording(input))
    record(
        "NllLoss", losses, {&input}, {&l->labels},
        [all = l, ignore_index, dim, shape = input.shape(), type = input.dtype()](const Context& c) {
          const Labelled l = all->with(c.saved(0), ignore_index);
          if (cuda::takes(l.labels) && !recording_enabled()) {
            const Tensor factors = contiguous(c.gradient() * l.weights);
            return c.set(0, to(cuda::picked_gradient(l.there(ignore_index), shape, factors, Tensor(), Tensor()), type));
          }
          const Tensor safe = where(ne(l.labels, Scalar(ignore_index)), l.labels, Scalar(0));
          const Tensor share = unsqueeze(-(c.gradient() * l.weights), dim);
          c.set(0,
                to(scatter_add(zeros(shape, share.dtype()), dim, unsqueeze(safe, dim), share, Write::InPlace), type));
        });
  if (reduction == Reduction::None) return to(losses, input.dtype());
  const Tensor total = sum(losses, {}, false, std::nullopt);
  if (reduction == Reduction::Sum) return to(total, input.dtype());
  if (cuda::takes(input)) {
    const Tensor weights = sum(l->weights, {}, false, std::nullopt), none = eq(weights, 0);
    return to(where(none, Scalar(NAN), total / where(none, Scalar(1.0), weights)), input.dtype());
  }
  const double weight_sum = total_of(l->weights);
  if (weight_sum == 0)
    return to(total * Scalar(0.0) + Scalar(NAN), input.dtype());  // as PyTorch's, with a gradient of 0
  return to(total * Scalar(1.0 / weight_sum), input.dtype());
}

Tensor cross_entropy(const Tensor& input, const Tensor& target, const Tensor& weight, int64_t ignore_index,
                     Reduction reduction, double label_smoothing) {
  require(label_smoothing >= 0 && label_smoothing <= 1,
          "label_smoothing must be between 0.0 and 1.0. Got: ", label_smoothing);
  require<ValueError>(input.dim() >= 1, "Expected 1 or more dimensions (got ", input.dim(), ")");
  require<NotImplementedError>(is_floating(input.dtype()), "\"cross_entropy\" not implemented for '", input.dtype(),
                               "'");
  if (is_vector_of_one(input, target))
    return cross_entropy(input, reshape(target, {}), weight, ignore_index, reduction, label_smoothing);
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
  const bool real = input.dtype() == Dtype::float32 || input.dtype() == Dtype::float64;
  if (real && label_smoothing == 0 && classes > 0 && !recording(weight))
    return fused_cross_entropy(input, target, weight, ignore_index, reduction);
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
    NoRecording off;
    out = _squared_error(input, target);
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
