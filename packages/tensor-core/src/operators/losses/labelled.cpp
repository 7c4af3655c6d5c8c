#include "operators/losses/labelled.h"

#include <algorithm>
#include <string>

#include "core/working_memory.h"

namespace flambeau {

namespace {

// Raises an error unless each of the contiguous labels is in [0, classes) or is `ignore_index`.
void check_range(const Tensor& t, int64_t classes, int64_t ignore_index) {
  const int64_t *labels = t.data<int64_t>(), *end = labels + t.numel();
  const auto outside = [=](int64_t label) { return (label != ignore_index) & (uint64_t(label) >= uint64_t(classes)); };
  int64_t count = 0;
  for (const int64_t* label = labels; label < end; ++label) count += outside(*label);
  require<IndexError>(count == 0, "Target ", count ? *std::find_if(labels, end, outside) : 0,
                      " is out of bounds: the input has ", classes, " classes (0 to ", classes - 1, ")");
}

}  // namespace

void check_floating_scores(const Tensor& input, const Tensor& target, const char* name) {
  if (is_floating(input.dtype())) return;
  const bool swapped = is_floating(target.dtype());
  const char* hint = swapped ? "input and target look swapped" : "the input holds scores and must be floating-point";
  detail::raise<NotImplementedError>("\"", name, "\" not implemented for '", input.dtype(), "': ", hint,
                                     "; got an input of dtype ", input.dtype(), " and shape ", input.shape(),
                                     ", a target of dtype ", target.dtype(), " and shape ", target.shape());
}

void check_classes(const Tensor& input, const Tensor& target, int64_t ignore_index, const char* name) {
  const int64_t dim = dim_of_classes(input), classes = input.size(dim);
  require(target.dtype() == Dtype::int64 || target.dtype() == Dtype::uint8, name,
          ": expected class indices of dtype int64 (or class probabilities of the input's shape), got ",
          target.dtype());
  Shape expected = input.shape();
  expected.erase(dim);
  if (!(target.shape() == expected)) {
    require<ValueError>(target.dim() > 0 && input.dim() > 1 && target.size(0) == input.size(0),
                        "Expected input batch_size (", input.size(0), ") to match target batch_size (",
                        target.dim() ? target.size(0) : 0, "): shapes ", input.shape(), " and ", target.shape());
    const bool column = target.dim() == input.dim() && target.size(dim) == 1;
    require(false, name, ": the input of shape ", input.shape(), " needs a target of shape ", expected, ", got ",
            target.shape(), column ? "; write target.squeeze(" : "", column ? std::to_string(dim) + ")" : "");
  }
  if (target.is_meta() || cuda::runs_on_gpu(target)) return;  // a GPU kernel checks labels when it reads them
  check_range(contiguous(to(target, Dtype::int64)), classes, ignore_index);
}

void check_weight(const Tensor& weight, int64_t classes) {
  require(!weight.defined() || (weight.dim() == 1 && weight.size(0) == classes),
          "weight tensor should be defined either for all ", classes,
          " classes or no classes but got weight tensor of shape: ", weight.defined() ? weight.shape() : Shape());
}

bool is_vector_of_one(const Tensor& input, const Tensor& target) {
  return input.dim() == 1 && target.dim() == 1 && target.numel() == 1 && !is_floating(target.dtype());
}

LabelledScores::LabelledScores(const Tensor& input, const Tensor& target, const Tensor& weight, int64_t ignore_index,
                               Dtype type)
    : labels(contiguous(to(target, Dtype::int64))) {
  batch = input.dim() == 1 ? 1 : input.size(0);
  classes = input.size(dim_of_classes(input));
  inner = batch ? labels.numel() / batch : 0;
  const Tensor each = weight.defined() ? contiguous(to(detach(weight), type)) : weight;
  weights = empty(labels.shape(), type);
  if (cuda::runs_on_gpu(labels)) {
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

LabelledScores LabelledScores::with(const Tensor& saved, int64_t ignore_index) const {
  if (!cuda::runs_on_gpu(saved)) check_range(saved, classes, ignore_index);  // hooks may have changed the saved labels
  LabelledScores out = *this;
  out.labels = saved;
  return out;
}

Tensor weights_of(const Tensor& labels, const Tensor& weight) {
  if (weight.numel() == 0) return zeros(labels.shape(), weight.dtype());  // all labels are ignored
  return reshape(index_select(weight, 0, reshape(labels, {-1})), labels.shape());
}

Tensor reduced(const Tensor& losses, Reduction reduction) {
  if (reduction == Reduction::None) return losses;
  return reduction == Reduction::Sum ? sum(losses, {}, false, std::nullopt) : mean(losses, {}, false, std::nullopt);
}

double total_of(const Tensor& t) { return item(sum(to(t, Dtype::float64), {}, false, std::nullopt)).real(); }

Tensor loss_on_meta(const Tensor& logarithms, const Tensor& target, Reduction reduction) {
  const int64_t dim = dim_of_classes(logarithms);
  const Tensor picked = gather(logarithms, dim, unsqueeze(to(target, Dtype::int64), dim));
  return reduced(-squeeze(picked, Shape{dim}), reduction);
}

}  // namespace flambeau
