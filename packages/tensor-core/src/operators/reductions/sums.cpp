// Sums, means, products and counts, each with its derivative.
#include "flambeau/operator.h"
#include "operators/reductions/reduction.h"

namespace flambeau {

namespace {

using kernels::Reduce;

Dtype sum_dtype(Dtype d) { return category(d) <= Category::Integer ? Dtype::int64 : d; }
Tensor spread(const Tensor& g, const Shape& kept, const Shape& shape) { return expand(reshape(g, kept), shape); }

// What to reduce for a result in `type`: the tensor itself, if that is what its elements are accumulated in anyway.
Tensor suited(Reduce op, const Tensor& t, Dtype type) {
  const Dtype given = kernels::table().reduce[int(op)][int(t.dtype())].result;
  return t.dtype() == type || given == same_bits(type) ? t : to(t, type);
}

Tensor reduced(Reduce op, const Tensor& t, const OptionalDims& dim, bool keepdim, Dtype type) {
  NoRecording off;
  return to(reduce(op, suited(op, t, type), dim, keepdim), type);
}

Tensor total(Reduce op, const char* node, const Tensor& t, const OptionalDims& dim, bool keepdim, Dtype type) {
  Tensor out = reduced(op, t, dim, keepdim, type);
  if (category(type) <= Category::Integer || !recording(t)) return out;
  const Shape kept = kept_shape(t, dim);
  if (op == Reduce::NanSum)
    record(node, out, {&t}, {&t},
           [kept](const Context& c) { c.set(0, where(isnan(c.saved(0)), Scalar(0.0), reshape(c.gradient(), kept))); });
  else
    record(node, out, {&t}, {},
           [kept, shape = t.shape()](const Context& c) { c.set(0, spread(c.gradient(), kept, shape)); });
  return out;
}

}  // namespace

Tensor sum(const Tensor& t, const OptionalDims& dim, bool keepdim, std::optional<Dtype> dtype) {
  return total(Reduce::Sum, "Sum", t, dim, keepdim, dtype.value_or(sum_dtype(t.dtype())));
}

const Operator sum_operator(
    {.signature = "sum(input, dim=None, keepdim=False, *, dtype=None)",
     .forms = kFunction | kMethod | kOut,
     .doc =
         R"(The sum over all or the given dimensions. Integers and booleans are summed in int64. The order of additions is
fixed: the result does not depend on the number of threads.

Gradient: the result's, spread over the reduced dimensions.)",
     .forward = sum,
     .reference = "np.sum(input, dim, keepdims=keepdim)",
     .samples = "f(2, 3); f(2, 3), 1; f(2, 3, 4), (0, -1), True; i(2, 3), 0; b(3, 4), 1; f(0, 2), 0"});

Tensor nansum(const Tensor& t, const OptionalDims& dim, bool keepdim, std::optional<Dtype> dtype) {
  const Dtype type = dtype.value_or(sum_dtype(t.dtype()));
  return total(is_floating(t.dtype()) ? Reduce::NanSum : Reduce::Sum, "Nansum",
               is_floating(t.dtype()) ? to(t, type) : t, dim, keepdim, type);
}

const Operator nansum_operator({.signature = "nansum(input, dim=None, keepdim=False, *, dtype=None)",
                                .forms = kFunction | kMethod | kOut,
                                .doc = "The sum of the elements that are not NaN. Gradient: those elements.",
                                .forward = nansum,
                                .reference = "np.nansum(input, dim, keepdims=keepdim)",
                                .samples = "np.where(b(3, 4), np.nan, 1.0); np.where(b(3, 4), np.nan, 2.0), 1, True"});

Tensor mean(const Tensor& t, const OptionalDims& dim, bool keepdim, std::optional<Dtype> dtype) {
  const Dtype type = dtype.value_or(t.dtype());
  require(category(type) > Category::Integer,
          "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: ",
          type, "; convert first, e.g. x.float().mean()");
  const double count = double(reduced_count(t, dim));
  Tensor out;
  {
    NoRecording off;
    out = reduce(Reduce::Sum, suited(Reduce::Sum, t, type), dim, keepdim);
    divide_in_place(out, count);
    out = to(out, type);
  }
  if (recording(t))
    record("Mean", out, {&t}, {}, [kept = kept_shape(t, dim), shape = t.shape(), count](const Context& c) {
      c.set(0, spread(div(c.gradient(), count), kept, shape));
    });
  return out;
}

const Operator mean_operator({.signature = "mean(input, dim=None, keepdim=False, *, dtype=None)",
                              .forms = kFunction | kMethod | kOut,
                              .doc = R"(The mean over all or the given dimensions.

Raises RuntimeError for integers. Gradient: the result's, shared evenly.)",
                              .forward = mean,
                              .reference = "np.mean(input, dim, keepdims=keepdim)",
                              .samples = "f(2, 3); f(2, 3), 1; f(2, 3, 4), (0, -1), True"});

Tensor count_nonzero(const Tensor& t, const OptionalDims& dim) { return reduce(Reduce::Count, t, dim, false); }

const Operator count_nonzero_operator({.signature = "count_nonzero(input, dim=None)",
                                       .forms = kFunction | kMethod,
                                       .doc = "How many elements are not 0, int64.",
                                       .forward = count_nonzero,
                                       .reference = "np.count_nonzero(input, dim)",
                                       .samples = "i(3, 4); f(3, 4), 1; b(2, 3, 4), (0, 2)"});

namespace {

// The product of the others for every element, once differentiable and in time proportional to the elements: where one
// of them is 0 it is the product without that one there, and 0 elsewhere; where several are, 0.
Tensor product_of_others(const Tensor& x, const Tensor& result, const OptionalDims& dim) {
  const Tensor zero = eq(x, 0), zeros = sum(zero, dim, true, {});

  const Tensor without = prod(where(zero, Scalar(1.0), x), dim, true, {});
  const Tensor elsewhere = where(zero, Scalar(0.0), result / where(zero, Scalar(1.0), x));
  return where(logical_and(zero, eq(zeros, 1)), without, elsewhere);
}

// The same, differentiable any number of times: the products without x[i], for every i.
Tensor product_of_others_of_any_order(const Tensor& x, const OptionalDims& dim) {
  const uint64_t mask = dim_mask(x, dim);
  Shape order, square;
  for (int reduced = 0; reduced < 2; ++reduced)
    for (int i = 0; i < x.dim(); ++i)
      if (int(mask >> i & 1) == reduced) order.push_back(i);
  const Tensor moved = permute(x, order);  // kept dimensions first
  const int64_t n = reduced_count(x, dim);
  for (int i = 0; i < x.dim(); ++i)
    if (!(mask >> i & 1)) square.push_back(x.shape()[i]);
  square.push_back(1);
  square.push_back(n);
  const Tensor others = prod(where(eye(n, n, Dtype::bool_), Scalar(1.0), reshape(moved, square)), Shape{-1}, false, {});
  Shape inverse(order.size());
  for (size_t i = 0; i < order.size(); ++i) inverse[order[i]] = int64_t(i);
  return permute(reshape(others, moved.shape()), inverse);
}

}  // namespace

Tensor prod(const Tensor& t, const OptionalDims& dim, bool keepdim, std::optional<Dtype> dtype) {
  const Dtype type = dtype.value_or(sum_dtype(t.dtype()));
  const Tensor x = recording(t) ? to(t, type) : t;
  Tensor out = reduced(Reduce::Prod, x, dim, keepdim, type);
  if (category(type) > Category::Integer && recording(x))
    record("Prod", out, {&x}, {&x, &out}, [kept = kept_shape(x, dim), dim](const Context& c) {
      const Tensor &x = c.saved(0), g = reshape(c.gradient(), kept), result = reshape(c.saved(1), kept);
      if (!item(any(eq(detach(x), 0), {}, false)).truth()) return c.set(0, g * conj(result) / conj(x));
      c.set(0,
            g * conj(recording_enabled() ? product_of_others_of_any_order(x, dim) : product_of_others(x, result, dim)));
    });
  return out;
}

const Operator prod_operator(
    {.signature = "prod(input, dim=None, keepdim=False, *, dtype=None)",
     .forms = kFunction | kMethod | kOut | kFloat32,
     .doc = "The product over all or the given dimensions. Gradient: right where there are zeros, too.",
     .forward = prod,
     .reference = "np.prod(input, dim, keepdims=keepdim)",
     .samples = "f(2, 3); f(2, 3), 1; f(2, 3), 0, True; i(2, 3); f(0, 2), 0"});

const Operator sum_to_size_operator({.signature = "sum_to_size(input, *size)",
                                     .forms = kMethod,
                                     .doc = "Summed over what a tensor of that size is broadcast along to get here.",
                                     .forward =
                                         [](const Tensor& t, const Shape& size) {
                                           const size_t shift = t.shape().size() - size.size();
                                           bool fits = size.size() <= t.shape().size();
                                           for (size_t i = 0; i < size.size() && fits; ++i)
                                             fits = size[i] == t.shape()[i + shift] || size[i] == 1;
                                           require(fits, "size {", size, "} is not expandable to size {", t.shape(),
                                                   "}.");
                                           return size.empty() ? sum(t, {}, false, {}) : sum_to(t, size);
                                         },
                                     .reference = "input.sum(0) if len(size) == 1 else input.sum(1, keepdims=True)",
                                     .samples = "f(2, 3), (3,); f(2, 3), (2, 1)"});

const Operator trace_operator({.signature = "trace(input)",
                               .forms = kFunction | kMethod | kFloat32,
                               .doc = "The sum of the diagonal of a matrix.",
                               .forward =
                                   [](const Tensor& t) {
                                     require(t.dim() == 2, "trace: expected a matrix, but got a tensor of shape ",
                                             t.shape());
                                     return sum(diagonal(t, 0, 0, 1), {}, false, {});
                                   },
                               .reference = "np.trace(input)",
                               .samples = "f(3, 4); i(3, 3)"});

}  // namespace flambeau
