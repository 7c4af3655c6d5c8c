// Reductions that are defined by rows of a table: their operators, derivatives and records. Note [Reduction table]
#include "core/node_name.h"
#include "flambeau/operator.h"
#include "operators/arithmetic/chosen.h"
#include "operators/reductions/reduction.h"

namespace flambeau {

namespace expressions {  // functions and constants for the derivative expressions of reductions

namespace {

struct NoDerivative {};
[[maybe_unused]] constexpr NoDerivative none;

// Returns, for every element, the product of all other elements, in linear time. The result can be differentiated only
// once. If exactly one element is 0, the results for the other elements are 0. If several elements are 0, all results
// are 0.
Tensor product_of_others(const Tensor& x, const Tensor& result, const Shape& dims) {
  const Tensor zero = eq(x, 0), zeros = sum(zero, dims, true, {});

  const Tensor without = prod(where(zero, Scalar(1.0), x), dims, true, {});
  const Tensor elsewhere = where(zero, Scalar(0.0), result / where(zero, Scalar(1.0), x));
  return where(logical_and(zero, eq(zeros, 1)), without, elsewhere);
}

// Returns the same products in a form that can be differentiated any number of times. For every i, multiplies all
// elements with x[i] replaced by 1, which takes quadratic time.
Tensor product_of_others_of_any_order(const Tensor& x, const Shape& dims) {
  const uint64_t mask = dim_mask(x, dims);
  Shape order, square;
  for (int reduced = 0; reduced < 2; ++reduced)
    for (int i = 0; i < x.dim(); ++i)
      if (int(mask >> i & 1) == reduced) order.push_back(i);
  const Tensor moved = permute(x, order);  // the kept dimensions come first
  const int64_t n = reduced_count(x, dims);
  for (int i = 0; i < x.dim(); ++i)
    if (!(mask >> i & 1)) square.push_back(x.shape()[i]);
  square.push_back(1);
  square.push_back(n);
  const Tensor others = prod(where(eye(n, n, Dtype::bool_), Scalar(1.0), reshape(moved, square)), Shape{-1}, false, {});
  Shape inverse(order.size());
  for (size_t i = 0; i < order.size(); ++i) inverse[order[i]] = int64_t(i);
  return permute(reshape(others, moved.shape()), inverse);
}

Tensor product_gradient(const Tensor& grad, const Tensor& x, const Tensor& result) {
  if (x.shape() == result.shape()) return grad;
  if (!item(any(eq(detach(x), 0), {}, false)).truth()) return grad * conj(result) / conj(x);
  Shape dims;
  for (int i = 0; i < x.dim(); ++i)
    if (x.shape()[i] != result.shape()[i]) dims.push_back(i);
  return grad *
         conj(recording_enabled() ? product_of_others_of_any_order(x, dims) : product_of_others(x, result, dims));
}

#define REDUCTION(name, domain, join, map, dx, ...)                                  \
  struct name##_gradient {                                                           \
    template <class X, class Result>                                                 \
    static auto of([[maybe_unused]] const Tensor& grad, [[maybe_unused]] const X& x, \
                   [[maybe_unused]] const Result& result) -> decltype(dx) {          \
      return dx;                                                                     \
    }                                                                                \
  };
#define PART(name, ...)                                                  \
  struct name##_gradient {                                               \
    static NoDerivative of(const Tensor&, const Tensor&, const Tensor&); \
  };
#include "flambeau/reductions.def"

}  // namespace

}  // namespace expressions

namespace {

using expressions::NoDerivative;
using kernels::Reduce;

struct ReductionRow {
  const char* node;
  Tensor (*gradient)(const Tensor& grad, const Tensor& x, const Tensor& result);  // null if not differentiable
  bool reads_x, reads_result;
};

struct UnusedTensor {};  // replaces tensors that an expression does not use; has no operators

template <class Expression>
ReductionRow make_row(const char* name) {
  ReductionRow row{node_name(name), nullptr, false, false};
  using Gradient = std::remove_cvref_t<decltype(Expression::of(Tensor(), Tensor(), Tensor()))>;
  if constexpr (!std::is_same_v<Gradient, NoDerivative>) {
    row.gradient = [](const Tensor& grad, const Tensor& x, const Tensor& result) -> Tensor {
      return Expression::of(grad, x, result);
    };
    row.reads_x = !requires(const Tensor& t) { Expression::of(t, UnusedTensor(), t); };
    row.reads_result = !requires(const Tensor& t) { Expression::of(t, t, UnusedTensor()); };
  }
  return row;
}
const ReductionRow rows[] = {
#define REDUCTION(name, ...) make_row<expressions::name##_gradient>(#name),
#include "flambeau/reductions.def"
};

void record_reduction(const ReductionRow& row, const char* node, const Tensor& x, const Tensor& out, uint64_t mask) {
  const Tensor *outputs[] = {&out}, *inputs[] = {&x}, *saved[2];
  int count = 0;
  if (row.reads_x) saved[count++] = &x;
  if (row.reads_result) saved[count++] = &out;
  Recording recording{
      node, Recording::kFresh, outputs, 1, inputs, 1, saved, count, [&row, shape = x.shape(), mask](const Context& c) {
        Shape kept = shape;
        for (size_t i = 0; i < kept.size(); ++i)
          if (mask >> i & 1) kept[i] = 1;
        const Tensor x = row.reads_x ? c.saved(0) : Tensor();
        const Tensor result = row.reads_result ? reshape(c.saved(row.reads_x), kept) : Tensor();
        const Tensor gradient = row.gradient(reshape(c.gradient(), kept), x, result);
        c.set(0, gradient.shape() == shape ? gradient : expand(gradient, shape));
      }};
  autograd_hooks->record(recording);
}

Dtype sum_dtype(Dtype d) { return category(d) <= Category::Integer ? Dtype::int64 : d; }

Tensor total(Reduce op, const Tensor& t, const OptionalDims& dim, bool keepdim, std::optional<Dtype> dtype) {
  return reduction(op, t, dim, keepdim, dtype.value_or(sum_dtype(t.dtype())));
}

Tensor extreme(Reduce op, const char* name, const Tensor& t, const OptionalDims& dim, bool keepdim) {
  require_order(t, name);
  if (dim && !dim->empty())
    require_elements(t, dim, name);
  else
    require_any(t, name);
  return reduction(op, t, dim, keepdim, t.dtype());
}

// Computes any() or all(). As in PyTorch and NumPy, dim=[] reduces no dimension here, while for other reductions it
// means all dimensions.
Tensor truth(Reduce op, const Tensor& t, const OptionalDims& dim, bool keepdim) {
  const Dtype type = t.dtype() == Dtype::uint8 ? Dtype::uint8 : Dtype::bool_;
  if (dim && dim->empty()) return to(ne(t, Scalar(0)), type);
  return reduction(op, t, dim, keepdim, type);
}

// Under autocast, products run in float32, because they soon exceed the range of half-precision dtypes.
int forms_of(Reduce op) { return kFunction | kMethod | (join_of(op) == Reduce::prod ? kFloat32 : 0); }

}  // namespace

void require_order(const Tensor& t, const char* name) {
  require<NotImplementedError>(category(t.dtype()) <= Category::Floating, name, "(): not implemented for '", t.dtype(),
                               "'");
}

void require_any(const Tensor& t, const char* name) {
  require(t.numel() > 0, name,
          "(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
          "'dim' argument.");
}

Tensor reduction(Reduce op, const Tensor& t, const OptionalDims& dim, bool keepdim, Dtype type, const char* node) {
  if (!node)
    node = dim && op == Reduce::sum ? "SumBackward1" : dim && op == Reduce::prod ? "ProdBackward1" : rows[int(op)].node;
  Reduce join = op;
  if (category(t.dtype()) != Category::Floating && !kernels::table().reduce[int(op)][int(t.dtype())].run)
    join = join_of(op);  // the function that `op` applies to each element replaces NaN
  const bool replaces_nan = is_complex(t.dtype()) && join != op;
  if (!is_complex(t.dtype())) op = join;
  const ReductionRow& row = rows[int(op)];
  const bool records = row.gradient && category(type) > Category::Integer && recording(t);
  const bool converts = records && row.reads_x && t.dtype() != type;
  const Tensor converted = converts ? to(t, type) : Tensor();
  const Tensor& x = converts ? converted : t;
  Tensor out;
  {
    NoRecording off;
    const Tensor values = replaces_nan ? where(isnan(x), Scalar(join == Reduce::prod ? 1.0 : 0.0), x) : x;
    out = to(reduce(join, cast_for_reduction(join, values, type), dim, keepdim), type);
  }
  if (records) record_reduction(row, node, x, out, dim_mask(x, dim));
  return out;
}

#define TOTAL(name, ...)                                                                                         \
  FLAMBEAU_API Tensor name(const Tensor& t, const OptionalDims& dim, bool keepdim, std::optional<Dtype> dtype) { \
    return total(Reduce::name, t, dim, keepdim, dtype);                                                          \
  }
#define EXTREME(name, ...)                                                           \
  FLAMBEAU_API Tensor name(const Tensor& t, const OptionalDims& dim, bool keepdim) { \
    return extreme(Reduce::name, #name, t, dim, keepdim);                            \
  }
#define TRUTH(name, ...)                                                             \
  FLAMBEAU_API Tensor name(const Tensor& t, const OptionalDims& dim, bool keepdim) { \
    return truth(Reduce::name, t, dim, keepdim);                                     \
  }
#define COUNT(name, ...)                                               \
  FLAMBEAU_API Tensor name(const Tensor& t, const OptionalDims& dim) { \
    return reduction(Reduce::name, t, dim, false, Dtype::int64);       \
  }
#include "flambeau/reductions.def"

#define FLAMBEAU_RECORD(name, parameters, more_forms, doc_, reference_, samples_) \
  const Operator name##_operator({.signature = #name parameters,                  \
                                  .forms = forms_of(Reduce::name) | more_forms,   \
                                  .doc = doc_,                                    \
                                  .forward = name,                                \
                                  .batched = Batched<name>::call,                 \
                                  .reference = reference_,                        \
                                  .samples = samples_});
#define TOTAL(name, domain, join, map, dx, ...) \
  FLAMBEAU_RECORD(name, "(input, dim=None, keepdim=False, *, dtype=None)", kOut | kDtypeOut, __VA_ARGS__)
#define EXTREME(name, domain, join, map, dx, ...) \
  FLAMBEAU_RECORD(name, "(input, dim=(), keepdim=False)", kOut | kExactOut, __VA_ARGS__)
#define TRUTH(name, domain, join, map, dx, ...) \
  FLAMBEAU_RECORD(name, "(input, dim=None, keepdim=False)", kOut | kMaskOut, __VA_ARGS__)
#define COUNT(name, domain, join, map, dx, ...) FLAMBEAU_RECORD(name, "(input, dim=None)", 0, __VA_ARGS__)
#include "flambeau/reductions.def"

}  // namespace flambeau
