// mean, sum_to_size and trace.
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

const Operator sum_to_size_operator(
    {.signature = "sum_to_size(input, *size)",
     .forms = kMethod,
     .doc = "Sum over the dimensions along which a tensor with the shape ``size`` would be broadcast to the input.",
     .forward =
         [](const Tensor& t, const Shape& size) {
           const size_t shift = t.shape().size() - size.size();
           bool fits = size.size() <= t.shape().size();
           for (size_t i = 0; i < size.size() && fits; ++i) fits = size[i] == t.shape()[i + shift] || size[i] == 1;
           require(fits, "size {", size, "} is not expandable to size {", t.shape(), "}.");
           return size.empty() ? sum(t, {}, false, {}) : sum_to(t, size);
         },
     .reference = "input.sum(0) if len(size) == 1 else input.sum(1, keepdims=True)",
     .samples = "f(2, 3), (3,); f(2, 3), (2, 1)"});

const Operator trace_operator({.signature = "trace(input)",
                               .forms = kFunction | kMethod | kFloat32,
                               .doc = "Compute the sum of the diagonal of a matrix.",
                               .forward =
                                   [](const Tensor& t) {
                                     require(t.dim() == 2, "trace: expected a matrix, but got a tensor of shape ",
                                             t.shape());
                                     return sum(diagonal(t, 0, 0, 1), {}, false, {});
                                   },
                               .reference = "np.trace(input)",
                               .samples = "f(3, 4); i(3, 3)"});

}  // namespace flambeau
