// Losses that require the score of the correct class to exceed other scores by a margin.
#include <algorithm>

#include "core/working_memory.h"
#include "flambeau/cuda.h"
#include "flambeau/operator.h"
#include "flambeau/operators/networks.h"
#include "operators/losses/labelled.h"

namespace flambeau {

namespace {

void check_scores(const char* name, const Tensor& input) {
  require(input.dim() <= 2 && (input.dim() != 2 || input.shape()[1] > 0) && (input.dim() != 1 || input.numel() > 0),
          name, ": expected non-empty vector or matrix with optional 0-dim batch size, but got: ", input.shape());
}

void check_label(int64_t label, int64_t least, int64_t classes) {
  require(label >= least && label < classes, "target out of range: labels must be at least ", least, " and below ",
          classes, ", got ", label);
}

// Returns the gradient of the loss of each row, (rows, 1), given the gradient of the reduced loss.
Tensor gradient_of_rows(const Tensor& grad, int64_t rows, Reduction reduction) {
  const Tensor each = reduction == Reduction::Mean ? grad / Scalar(double(rows)) : grad;
  return reduction == Reduction::None ? reshape(each, {rows, 1}) : expand(reshape(each, {1, 1}), {rows, 1});
}

struct ScoreRows {  // labels, and scores (rows, classes) in the dtype of the computation
  Tensor scores, labels;
  ScoreRows(const Tensor& input, const Tensor& target) {
    const Dtype type = input.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32;
    const int64_t rows = input.dim() < 2 ? 1 : input.shape()[0];
    scores = reshape(contiguous(to(input, type)), {rows, rows ? input.numel() / rows : input.shape().back()});
    labels = contiguous(to(target, Dtype::int64));
  }
};

// Returns the loss of a row before the division by the number of classes: the sum over j != y of max(0, margin - x[y] +
// x[j])**p.
template <class T>
T margin_loss(const T* x, int64_t classes, int64_t y, T margin, int64_t p) {
  T total = 0;
  for (int64_t j = 0; j < classes; ++j) {
    const T missing = margin - x[y] + x[j];
    if (j != y && !(missing <= 0)) total += p == 1 ? missing : missing * missing;
  }
  return total;
}

Tensor margin_losses_on_gpu(const ScoreRows& r, int64_t p, double margin, const Tensor& weight) {
  const int64_t rows = r.scores.size(0), classes = r.scores.size(1);
  const Tensor labels = reshape(r.labels, {rows, 1}), own = gather(r.scores, 1, labels);
  const Tensor missing = clamp_min(Scalar(margin) - own + r.scores, Scalar(0.0));
  const Tensor others = ne(labels, arange(Scalar(0), Scalar(classes), Scalar(1), Dtype::int64));
  const Tensor each = where(others, p == 1 ? missing : missing * missing, Scalar(0.0));
  const Tensor losses = sum(each, Shape{1}, false, {}) / Scalar(double(classes));
  return weight.defined() ? losses * index_select(to(weight, losses.dtype()), 0, r.labels) : losses;
}

Tensor margin_losses(const ScoreRows& r, int64_t p, double margin, const Tensor& weight) {
  if (cuda::runs_on_gpu(r.scores)) return margin_losses_on_gpu(r, p, margin, weight);
  const int64_t rows = r.scores.shape()[0], classes = r.scores.shape()[1];
  const Tensor out = empty({rows}, r.scores.dtype());
  const Tensor factors = weight.defined() ? contiguous(to(weight, r.scores.dtype())) : weight;
  dispatch_real(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t y = r.labels.data<int64_t>()[i];
      check_label(y, 0, classes);
      const T total = margin_loss(r.scores.data<T>() + i * classes, classes, y, T(margin), p) / T(classes);
      out.data<T>()[i] = factors.defined() ? total * factors.data<T>()[y] : total;
    }
  });
  return out;
}

// Returns the gradient of the scores. Let v[j] = max(0, margin - x[y] + x[j]). Then d loss / d x[j] = p v[j]**(p - 1)
// w[y] / C for j != y, where w are the weights and C is the number of classes. d loss / d x[y] is minus the sum of
// these derivatives.
Tensor margin_gradient(const Tensor& scores, const Tensor& labels, int64_t p, double margin, const Tensor& weight,
                       const Tensor& grad) {
  const int64_t classes = scores.size(1);
  const Tensor missing = Scalar(margin) - gather(scores, 1, labels) + scores;
  const Tensor others = ne(labels, arange(Scalar(0), Scalar(classes), Scalar(1), Dtype::int64));
  Tensor share = grad / Scalar(double(classes));
  if (weight.defined()) share = share * unsqueeze(index_select(weight, 0, reshape(labels, {labels.numel()})), 1);
  const Tensor slope = p == 1 ? share : share * missing * Scalar(2.0);
  const Tensor each = where(bitwise_and(gt(missing, Scalar(0)), others), slope, Scalar(0.0));
  return scatter_add(each, 1, labels, -sum(each, Shape{1}, true, {}));
}

// Returns the loss of a row whose labels end at the first -1. It is the sum of the violations of the margin over all
// pairs of a label and a class that is not a label, divided by the number of classes. If `slopes` is given, adds the
// derivative with respect to the scores to `slopes`.
template <class T>
T labels_loss(const T* x, int64_t classes, const int64_t* labels, T* slopes, std::vector<char>& is_label) {
  int64_t count = 0;
  std::fill(is_label.begin(), is_label.end(), 0);
  for (; count < classes && labels[count] >= 0; ++count) is_label[size_t(labels[count])] = 1;
  T total = 0;
  for (int64_t k = 0; k < count; ++k)
    for (int64_t j = 0; j < classes; ++j) {
      const T missing = T(1) - x[labels[k]] + x[j];
      if (is_label[size_t(j)] || missing <= 0) continue;
      total += missing;
      if (slopes) slopes[j] += T(1) / T(classes), slopes[labels[k]] -= T(1) / T(classes);
    }
  return total / T(classes);
}

// Computes labels_loss() for all rows on a GPU. Iteration k of the loop processes the k-th label of every row.
Tensor labels_losses_on_gpu(const ScoreRows& r, const Tensor& slopes) {
  const int64_t rows = r.scores.size(0), classes = r.scores.size(1);
  Tensor losses = zeros({rows}, r.scores.dtype());
  if (rows == 0) return losses;
  const Tensor labels = reshape(r.labels, {rows, classes});
  const Tensor valid = cumprod(to(ge(labels, Scalar(0)), Dtype::int64), 1, {}), known = clamp_min(labels, Scalar(0));
  const Tensor others = eq(scatter_add(zeros({rows, classes}, Dtype::int64), 1, known, valid), Scalar(0));
  const int64_t most = item(max_all(sum(valid, Shape{1}, false, {}))).integer();
  for (int64_t k = 0; k < most; ++k) {
    const Tensor label = narrow(known, 1, k, 1), here = to(narrow(valid, 1, k, 1), Dtype::bool_);
    const Tensor missing = Scalar(1.0) - gather(r.scores, 1, label) + r.scores;
    const Tensor counts = logical_and(logical_and(here, others), logical_not(le(missing, Scalar(0))));
    losses = losses + sum(where(counts, missing, Scalar(0.0)), Shape{1}, false, {}) / Scalar(double(classes));
    if (!slopes.defined()) continue;
    const Tensor shares = to(counts, slopes.dtype()) / Scalar(double(classes));
    copy_values(slopes, scatter_add(slopes + shares, 1, label, -sum(shares, Shape{1}, true, {})));
  }
  return losses;
}

// Returns the losses of the rows. If `slopes` is given, it must contain zeros, and the derivatives with respect to the
// scores are added to it.
Tensor labels_losses(const ScoreRows& r, const Tensor& slopes) {
  if (cuda::runs_on_gpu(r.scores)) return labels_losses_on_gpu(r, slopes);
  const int64_t rows = r.scores.shape()[0], classes = r.scores.shape()[1];
  const Tensor out = empty({rows}, r.scores.dtype());
  std::vector<char> is_label(static_cast<size_t>(classes));
  for (int64_t i = 0; i < r.labels.numel(); ++i) check_label(r.labels.data<int64_t>()[i], -1, classes);
  dispatch_real(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (int64_t i = 0; i < rows; ++i)
      out.data<T>()[i] = labels_loss(r.scores.data<T>() + i * classes, classes, r.labels.data<int64_t>() + i * classes,
                                     slopes.defined() ? slopes.data<T>() + i * classes : nullptr, is_label);
  });
  return out;
}

Tensor finished(const Tensor& losses, bool single, Dtype dtype, Reduction reduction) {
  return reduced(to(single ? reshape(losses, {}) : losses, dtype), reduction);
}

}  // namespace

Tensor multi_margin_loss(const Tensor& input, const Tensor& target, int64_t p, double margin, const Tensor& weight,
                         Reduction reduction) {
  require<ValueError>(p == 1 || p == 2, "only p == 1 and p == 2 supported, got ", p);
  require<ValueError>(!weight.defined() || weight.dim() == 1, "weight must be one-dimensional, got shape ",
                      weight.defined() ? weight.shape() : Shape());
  check_scores("multi_margin_loss", input);
  const int64_t rows = input.dim() < 2 ? 1 : input.shape()[0], classes = input.dim() ? input.shape().back() : 1;
  require(target.dim() <= 1 && target.numel() == rows, "inconsistent target size, expected ", rows, " but got ",
          target.shape());
  require(!weight.defined() || weight.numel() == classes, "inconsistent weight size, expected ", classes, " but got ",
          weight.defined() ? weight.shape() : Shape());
  check_floating_scores(input, target, "multi_margin_loss");
  Tensor out;
  {
    NoRecording off;
    out = finished(margin_losses(ScoreRows(input, target), p, margin, weight), target.dim() == 0, input.dtype(),
                   reduction);
  }
  if (recording(input))
    record("MultiMarginLoss", out, {&input}, {&input, &target, &weight},
           [rows, classes, p, margin, reduction](const Context& c) {
             const Tensor labels = reshape(to(c.saved(1), Dtype::int64), {rows, 1});
             const Tensor grad = gradient_of_rows(c.gradient(), rows, reduction);
             const Tensor scores = reshape(c.saved(0), {rows, classes});
             c.set(0, reshape(margin_gradient(scores, labels, p, margin, c.saved(2), grad), c.saved(0).shape()));
           });
  return out;
}

const Operator _multi_margin_loss_operator(
    {.signature = "_multi_margin_loss(input, target, p, margin, weight: Tensor | None, reduction)",
     .forms = kPrivate | kFloat32,
     .doc = "Compute weight[y] times the sum over j != y of max(0, margin - x[y] + x[j])**p / C. Gradient: input, any "
            "order.",
     .forward = multi_margin_loss});

Tensor multilabel_margin_loss(const Tensor& input, const Tensor& target, Reduction reduction) {
  check_scores("multilabel_margin_loss", input);
  require(target.shape() == input.shape() || (input.dim() < 2 && target.numel() == input.numel() && target.dim() < 2),
          "inconsistent target size: ", target.shape(), " for input of size: ", input.shape());
  check_floating_scores(input, target, "multilabel_margin_loss");
  Tensor out, slopes;
  const bool wanted = recording(input);
  {
    NoRecording off;
    const ScoreRows r(input, target);
    if (wanted) slopes = zeros(r.scores.shape(), r.scores.dtype());
    out = finished(labels_losses(r, slopes), input.dim() < 2, input.dtype(), reduction);
  }
  if (wanted)
    record("MultilabelMarginLoss", out, {&input}, {},
           [slopes = to(slopes, input.dtype()), shape = input.shape(), reduction](const Context& c) {
             c.set(0, reshape(slopes * gradient_of_rows(c.gradient(), slopes.shape()[0], reduction), shape));
           });
  return out;
}

const Operator _multilabel_margin_loss_operator({.signature = "_multilabel_margin_loss(input, target, reduction)",
                                                 .forms = kPrivate | kFloat32,
                                                 .doc = "Compute the sum of max(0, 1 - x[y] + x[j]) / C over labels y "
                                                        "and other classes j. Gradient: input, any order.",
                                                 .forward = multilabel_margin_loss});

}  // namespace flambeau
