// scatter_reduce, which reduces the elements that an index sends to the same position.
#include <cmath>
#include <limits>

#include "flambeau/operator.h"
#include "operators/indexing/indexing.h"
#include "operators/indexing/scatter.h"

namespace flambeau {

namespace {

Scalar limit_of(Dtype d, bool lowest) {
  return dispatch(d, [&](auto tag) -> Scalar {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<T, bool>)
      return Scalar(!lowest);
    else if constexpr (std::is_integral_v<T>)
      return Scalar(std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>(lowest ? std::numeric_limits<T>::min()
                                                                                      : std::numeric_limits<T>::max()));
    else
      return Scalar(lowest ? -INFINITY : INFINITY);
  });
}

Scalar identity_of(ScatterReduction r, Dtype d) {
  if (r == ScatterReduction::Sum || r == ScatterReduction::Mean) return Scalar(0);
  if (r == ScatterReduction::Prod) return Scalar(1);
  return limit_of(d, r == ScatterReduction::Max);
}

Combine combine_of(ScatterReduction r) {
  switch (r) {
    case ScatterReduction::Prod:
      return Combine::Multiply;
    case ScatterReduction::Max:
      return Combine::Max;
    case ScatterReduction::Min:
      return Combine::Min;
    default:
      return Combine::Add;
  }
}

// Returns the divisors of a mean: the number of values that are combined at each position, but at least 1.
Tensor counts(Shape shape, Dtype dtype, int64_t dim, Tensor index, bool include_self) {
  for (size_t d = 0; d < index.shape().size(); ++d)
    if (int64_t(d) != dim && index.shape()[d] == shape[d] && index.strides()[d] == 0) {
      index = narrow(index, int64_t(d), 0, 1);  // expanded dimensions are counted once
      shape[d] = 1;
    }
  const Dtype real = to_real(dtype);
  const Tensor start = include_self ? ones(shape, real) : zeros(shape, real);
  return to(clamp_min(scatter_add(start, dim, index, ones(index.shape(), real)), Scalar(1)), dtype);
}

// Derivatives of scatter_reduce. If `include_self` is false, the old values of elements that are written do not
// contribute to the result.
struct ScatterReduceDerivative {
  ScatterReduction reduction;
  bool include_self;
  int64_t dim;
  Shape source_shape;
  const char* name;

  Tensor exclude_self(const Tensor& t, const Tensor& index, Scalar otherwise) const {
    return include_self ? t : scatter_value(t, dim, index, otherwise);
  }

  void product_rule(const Context& c, const Tensor& g, const Tensor& index, const Tensor& self, const Tensor& source,
                    const Tensor& result) const {
    if (c.needs(0)) {
      const Tensor nonzero = where(eq(self, Scalar(0)), ones({}, self.dtype()), self);
      const Tensor others = scatter_reduce(nonzero, dim, index, source, reduction, include_self);
      c.set(0, exclude_self(g * others / nonzero, index, Scalar(0)));
    }
    if (!c.needs(1)) return;
    const Tensor is_zero = eq(source, Scalar(0)), one = ones({}, source.dtype());
    const Tensor zero_count = scatter_add(zeros(self.shape(), self.dtype()), dim, index, to(is_zero, self.dtype()));
    const Tensor single = is_zero & eq(gather(zero_count, dim, index), Scalar(1));
    const Tensor without =
        scatter_reduce(exclude_self(self, index, Scalar(1)), dim, index, where(single, one, source), reduction, true);
    const Tensor all = gather(g * result, dim, index) / where(is_zero, one, source);
    const Tensor gradient = where(single, gather(g * without, dim, index), all);
    const bool is_first_only = recording(gradient) && item(any(gt(zero_count, Scalar(1)), {}, false)).truth();
    c.set(1, grown(is_first_only ? without_derivative(gradient) : gradient, source_shape));
  }

  // Returns a copy whose derivative raises an error. If several factors of a product are zero, the derivative of this
  // gradient would be wrong, because the formula replaces zero divisors with 1.
  Tensor without_derivative(const Tensor& gradient) const {
    Tensor out;
    {
      NoRecording off;
      out = clone(gradient);
    }
    record("Error", out, {&gradient}, {}, [name = name](const Context&) {
      detail::raise<Error>(name,
                           "(): Double backward is unsupported for src when >1 zeros in src are scattered to the "
                           "same position in self");
    });
    return out;
  }

  void extreme_rule(const Context& c, const Tensor& g, const Tensor& index, const Tensor& self, const Tensor& source,
                    const Tensor& result) const {
    const Tensor own = exclude_self(to(eq(self, result), g.dtype()), index, Scalar(0));
    const Tensor theirs = to(eq(source, gather(result, dim, index)), g.dtype());
    const Tensor share = g / clamp_min(scatter_add(own, dim, index, theirs), Scalar(1));
    if (c.needs(0)) c.set(0, share * own);
    if (c.needs(1)) c.set(1, grown(gather(share, dim, index) * theirs, source_shape));
  }

  void operator()(const Context& c) const {
    const Tensor &g = c.gradient(), &index = c.saved(0);
    if (reduction == ScatterReduction::Sum || reduction == ScatterReduction::Mean) {
      const Tensor share =
          reduction == ScatterReduction::Sum ? g : g / counts(g.shape(), g.dtype(), dim, index, include_self);
      if (c.needs(0)) c.set(0, exclude_self(share, index, Scalar(0)));
      if (c.needs(1)) c.set(1, grown(gather(share, dim, index), source_shape));
      return;
    }
    const Tensor source = shrunk(c.saved(2), index.shape());
    if (reduction == ScatterReduction::Prod)
      product_rule(c, g, index, c.saved(1), source, c.saved(3));
    else
      extreme_rule(c, g, index, c.saved(1), source, c.saved(3));
  }
};

}  // namespace

Tensor scatter_reduce(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source,
                      ScatterReduction reduction, bool include_self, Write write, const char* name) {
  const Scatter s = checked_scatter(t, dim, index, &source, name);
  const bool recorded = recording(t, source);
  const bool reads_values = recorded && reduction != ScatterReduction::Sum && reduction != ScatterReduction::Mean;
  const Tensor original = reads_values && write == Write::InPlace ? clone(t) : t;
  const Target target = target_of(t, write, name, {&source, &index});
  if (!include_self) store_value(target.out, s, identity_of(reduction, t.dtype()), Combine::Assign);
  store_source(target.out, s, source, combine_of(reduction));
  if (reduction == ScatterReduction::Mean && index.numel() > 0) {
    NoRecording off;
    const Tensor n = counts(t.shape(), t.dtype(), s.dim, s.index, include_self);
    copy_values(target.out, is_inexact(t.dtype()) ? div(target.out, n) : floor_divide(target.out, n));
  }
  if (!recorded) return target.out;
  Tensors saved{s.index};
  if (reads_values) saved.insert(saved.end(), {original, source, target.out});
  record_saving("ScatterReduce", target, {&t, &source}, saved,
                ScatterReduceDerivative{reduction, include_self, s.dim, source.shape(), name});
  return target.out;
}

namespace {

Tensor scatter_fold(Write write, const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source,
                    std::string_view reduce, bool include_self) {
  return scatter_reduce(t, dim, index, source, scatter_reduction_of(reduce), include_self, write);
}
const Operator scatter_reduce_operator(
    {.signature = "scatter_reduce(input, dim, index, src, reduce, *, include_self=True)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc = R"(Reduce the elements of src that have the same index along a dimension.

Args:
    reduce: 'sum', 'prod', 'mean', 'amax' or 'amin'.
    include_self: if True, include the element of input in the reduction.
Gradient: input and src; divided evenly among equal extremes.

>>> flambeau.scatter_reduce(flambeau.zeros(2), 0, flambeau.tensor([1, 0, 1]), flambeau.tensor([3.0, 4.0, 5.0]), "amax")
tensor([4., 5.]))",
     .forward = writing<scatter_fold, Write::Fresh>,
     .in_place = writing<scatter_fold, Write::InPlace>,
     .reference = "(lambda out: {'sum': np.add, 'prod': np.multiply, 'amax': np.maximum, 'amin': "
                  "np.minimum}[reduce].at(out, (np.arange(3)[:, None], index), src) or out)(input.copy())",
     .samples = "f(3, 4), 1, k(4, 3, 5), f(3, 5), 'amax'; f(3, 4), 1, k(4, 3, 2), f(3, 2), 'prod'; f(3, 4), 1, k(4, 3, "
                "6), f(3, 6), 'sum'"});

}  // namespace

}  // namespace flambeau
