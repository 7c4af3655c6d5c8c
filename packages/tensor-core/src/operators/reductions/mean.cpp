// The mean.
#include "flambeau/operator.h"
#include "operators/reductions/reduction.h"

namespace flambeau {

namespace {

using kernels::Reduce;

Tensor expand_reduced(const Tensor& g, const Shape& kept, const Shape& shape) {
  return expand(reshape(g, kept), shape);
}

}  // namespace

Tensor mean(const Tensor& t, const OptionalDims& dim, bool keepdim, std::optional<Dtype> dtype) {
  const Dtype type = dtype.value_or(t.dtype());
  require(category(type) > Category::Integer,
          "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: ",
          type, "; convert first, e.g. x.float().mean()");
  const double count = double(reduced_count(t, dim));
  Tensor out;
  {
    NoRecording off;
    out = reduce(Reduce::sum, cast_for_reduction(Reduce::sum, t, type), dim, keepdim);
    divide_in_place(out, count);
    out = to(out, type);
  }
  if (recording(t))
    record(dim ? "MeanBackward1" : "MeanBackward0", out, {&t}, {},
           [kept = kept_shape(t, dim), shape = t.shape(), count](const Context& c) {
             c.set(0, expand_reduced(div(c.gradient(), count), kept, shape));
           });
  return out;
}

const Operator mean_operator({.signature = "mean(input, dim=None, keepdim=False, *, dtype=None)",
                              .forms = kFunction | kMethod | kOut | kDtypeOut,
                              .doc = R"(Compute the mean over the given dimensions (default: all).

Raises RuntimeError for integers. Gradient: input.)",
                              .forward = mean,
                              .batched = Batched<mean>::call,
                              .reference = "np.mean(input, dim, keepdims=keepdim)",
                              .samples = "f(2, 3); f(2, 3), 1; f(2, 3, 4), (0, -1), True"});

}  // namespace flambeau
