// Variances and standard deviations, with their derivatives.
#include <cmath>

#include "cuda/operators.h"
#include "flambeau/interpreter.h"
#include "flambeau/operator.h"
#include "operators/reductions/reduction.h"

namespace flambeau {

namespace {

struct Moments {
  Tensor mean, squares;  // squares: sum of squared deviations
};

// Computes the moments of a step from the moments of its blocks (Chan, Golub, LeVeque 1979).
template <class T>
void join_blocks(const Moments& parts, const Moments& out, int64_t outer, int64_t length, int64_t rows, int64_t inner) {
  const int64_t blocks = (length + rows - 1) / rows;
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < inner; ++i) {
      double count = 0, mean = 0, squares = 0;
      for (int64_t b = 0; b < blocks; ++b) {
        const int64_t at = (o * blocks + b) * inner + i;
        const double n = double(std::min(rows, length - b * rows)), delta = double(parts.mean.data<T>()[at]) - mean;
        mean += delta * n / (count + n);
        squares += double(parts.squares.data<T>()[at]) + delta * delta * count * n / (count + n);
        count += n;
      }
      out.mean.data<T>()[o * inner + i] = T(mean);
      out.squares.data<T>()[o * inner + i] = T(squares);
    }
}

Moments step(const Tensor& in, int64_t outer, int64_t length, int64_t inner) {
  const auto kernel = kernels::table().moments[int(in.dtype())];
  if (!kernel) reject_small_float(in.dtype());
  const Dtype type = in.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32;
  const int64_t in_size = item_size(in.dtype()), size = item_size(type), rows = block_length(outer, length, inner);
  const int64_t blocks = rows < length ? (length + rows - 1) / rows : 1;
  const auto room = [&](int64_t n) { return Moments{empty({n}, type), empty({n}, type)}; };
  if (in.is_meta()) return room(outer * inner);
  if (cuda::runs_on_gpu(in)) {
    const Moments out = room(outer * inner);
    cuda::moments(out.mean, out.squares, in, outer, length, inner);
    return out;
  }
  const Moments parts = room(outer * blocks * inner);
  const auto run = [&](int64_t to, int64_t from, int64_t count, int64_t columns) {
    kernel(parts.mean.bytes() + to * size, parts.squares.bytes() + to * size, in.bytes() + from * in_size, count, inner,
           columns);
  };
  if (blocks == 1) {
    over_step(outer, length, inner, [&](int64_t first, int64_t count, int64_t column, int64_t columns) {
      for (int64_t o = first; o < first + count; ++o)
        run(o * inner + column, o * length * inner + column, length, columns);
    });
    return parts;
  }
  parallel_items(outer * blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % blocks * rows;
      run(i * inner, (i / blocks * length + first) * inner, std::min(rows, length - first), inner);
    }
  });
  const Moments out = room(outer * inner);
  type == Dtype::float64 ? join_blocks<double>(parts, out, outer, length, rows, inner)
                         : join_blocks<float>(parts, out, outer, length, rows, inner);
  return out;
}

// Reduces one group of adjacent dimensions after the other. From the second group on, the inputs are means of `count`
// elements each. The sum of squared deviations is then the sum of the previous sums, plus `count` times the sum of the
// squared deviations of the means.
Moments moments(const Tensor& t, const OptionalDims& dims) {
  NoRecording off;
  const uint64_t mask = dim_mask(t, dims);
  const ReductionLayout l = layout(t, mask);
  Moments m;
  int64_t count = 1, inner = 1;
  for (int64_t i = int64_t(l.segments.size()) - 1; i >= 0; --i) {
    const auto [size, reduced] = l.segments[size_t(i)];
    int64_t outer = 1;
    for (int64_t k = 0; k < i; ++k) outer *= l.segments[size_t(k)].size;
    if (!reduced) {
      inner *= size;
      continue;
    }
    const Moments next = step(m.mean.defined() ? m.mean : l.input, outer, size, inner);
    if (m.mean.defined()) {
      const Tensor within = sum(view(m.squares, {outer, size, inner}), Shape{1}, false, {});
      m.squares = view(within, {outer * inner}) + next.squares * Scalar(double(count));
    } else {
      m.squares = next.squares;
    }
    m.mean = next.mean;
    count *= size;
  }
  if (!m.mean.defined()) m = step(l.input, 1, 1, l.input.numel());
  return {reshape_reduced(m.mean, l, t, mask, true), reshape_reduced(m.squares, l, t, mask, true)};
}

void check(const Tensor& t) {
  require(is_floating(t.dtype()), "std and var only support floating point and complex dtypes, got ", t.dtype());
}

double divisor_of(const Tensor& t, const OptionalDims& dim, double correction) {
  return std::max(0.0, double(reduced_count(t, dim)) - correction);
}

Tensor finished(const Tensor& value, const Tensor& t, const OptionalDims& dim, bool keepdim) {
  const Tensor out = to(value, t.dtype());
  if (!keepdim) resize(out, reduced_shape(t, dim, false));
  return out;
}

// Returns `g` times the derivative of the variance. The reduced dimensions of `g` have size 1.
Tensor variance_gradient(const Tensor& g, const Tensor& x, const OptionalDims& dim, double divisor) {
  return g * ((x - mean(x, dim, true, {})) * Scalar(2.0 / divisor));
}

// Returns the gradient of the standard deviation, which is 0 where the deviation is 0.
Tensor deviation_gradient(const Tensor& g, const Tensor& result, const Tensor& x, const OptionalDims& dim,
                          double divisor) {
  const Tensor zero = eq(result, 0), safe = where(zero, Scalar(1.0), result);
  return where(zero, Scalar(0.0), g / (safe * Scalar(divisor))) * (x - mean(x, dim, true, {}));
}

void take_roots(const Tensor& t) {
  if (t.is_meta()) return;
  if (cuda::runs_on_gpu(t)) {
    const Operand same(t);
    return cuda::pointwise(row_of(op::sqrt), cuda::kValue, t, &same, 1, t.dtype());
  }
  const auto root = [&](auto* values) {
    for (int64_t i = 0; i < t.numel(); ++i) values[i] = std::sqrt(values[i]);
  };
  t.dtype() == Dtype::float64 ? root(t.data<double>()) : root(t.data<float>());
}

TensorPair spread_and_mean(const Tensor& t, const OptionalDims& dim, double correction, bool keepdim, bool root) {
  check(t);
  const double divisor = divisor_of(t, dim, correction);
  const Moments m = moments(t, dim);
  divide_in_place(m.squares, divisor);
  if (root) take_roots(m.squares);
  return {finished(m.squares, t, dim, keepdim), finished(m.mean, t, dim, keepdim)};
}

}  // namespace

Tensor var(const Tensor& t, const OptionalDims& dim, double correction, bool keepdim) {
  if (is_complex(t.dtype())) return var(real(t), dim, correction, keepdim) + var(imag(t), dim, correction, keepdim);
  const Tensor out = spread_and_mean(t, dim, correction, keepdim, false).values;
  if (recording(t))
    record("Var", out, {&t}, {&t},
           [kept = kept_shape(t, dim), dim, divisor = divisor_of(t, dim, correction)](const Context& c) {
             c.set(0, variance_gradient(reshape(c.gradient(), kept), c.saved(0), dim, divisor));
           });
  return out;
}

Tensor standard_deviation(const Tensor& t, const OptionalDims& dim, double correction, bool keepdim) {
  if (is_complex(t.dtype())) return sqrt(var(t, dim, correction, keepdim));
  const Tensor out = spread_and_mean(t, dim, correction, keepdim, true).values;
  if (recording(t))
    record("Std", out, {&t}, {&t, &out},
           [kept = kept_shape(t, dim), dim, divisor = divisor_of(t, dim, correction)](const Context& c) {
             c.set(0, deviation_gradient(reshape(c.gradient(), kept), reshape(c.saved(1), kept), c.saved(0), dim,
                                         divisor));
           });
  return out;
}

TensorPair spread_mean(const Tensor& t, const OptionalDims& dim, double correction, bool keepdim, bool root) {
  if (is_complex(t.dtype()))
    return {(root ? standard_deviation : var)(t, dim, correction, keepdim), mean(t, dim, keepdim, {})};
  const TensorPair out = spread_and_mean(t, dim, correction, keepdim, root);
  const Tensor none;
  if (recording(t))
    record(root ? "StdMean" : "VarMean", {&out.values, &out.indices}, {&t}, {&t, root ? &out.values : &none},
           [kept = kept_shape(t, dim), dim, divisor = divisor_of(t, dim, correction),
            count = double(reduced_count(t, dim)), root](const Context& c) {
             const Tensor& x = c.saved(0);
             Tensor total;
             if (c.gradient(0).defined()) {
               const Tensor g = reshape(c.gradient(0), kept);
               total = root ? deviation_gradient(g, reshape(c.saved(1), kept), x, dim, divisor)
                            : variance_gradient(g, x, dim, divisor);
             }
             if (c.gradient(1).defined()) {
               const Tensor share = expand(reshape(c.gradient(1), kept) / Scalar(count), x.shape());
               total = total.defined() ? total + share : share;
             }
             c.set(0, total);
           });
  return out;
}

namespace {

using DimsOrUnbiased = std::optional<std::variant<bool, Shape>>;

struct SpreadArguments {
  OptionalDims dims;
  double correction;
};

// Converts the arguments (input, unbiased), (input, dim, unbiased, keepdim) or (input, dim, *, correction, keepdim).
SpreadArguments spread_arguments(const char* name, const DimsOrUnbiased& given, std::optional<bool> unbiased,
                                 std::optional<double> correction) {
  require<TypeError>(!unbiased || !correction, name, "() takes either unbiased or correction, but got both");
  OptionalDims dims;
  if (given && std::holds_alternative<bool>(*given))
    unbiased = std::get<bool>(*given);
  else if (given)
    dims = std::get<Shape>(*given);
  return {dims, correction.value_or(unbiased.value_or(true) ? 1 : 0)};
}

void warn_of_degrees_of_freedom(const char* name, const Tensor& t, const Tensor& result, double correction) {
  if (result.numel() && double(t.numel() / result.numel()) <= correction)
    warn(std::string(name) +
         "(): degrees of freedom is <= 0. Correction should be strictly less than the reduction factor (input numel "
         "divided by output numel).");
}

template <bool root>
Tensor variance_or_deviation(const Tensor& t, const DimsOrUnbiased& dim, std::optional<bool> unbiased, bool keepdim,
                             std::optional<double> correction) {
  constexpr const char* name = root ? "std" : "var";
  const SpreadArguments given = spread_arguments(name, dim, unbiased, correction);
  const Tensor out = (root ? standard_deviation : var)(t, given.dims, given.correction, keepdim);
  warn_of_degrees_of_freedom(name, t, out, given.correction);
  return out;
}

template <bool root>
TensorPair spread_with_mean(const Tensor& t, const DimsOrUnbiased& dim, std::optional<bool> unbiased, bool keepdim,
                            std::optional<double> correction) {
  constexpr const char* name = root ? "std_mean" : "var_mean";
  const SpreadArguments given = spread_arguments(name, dim, unbiased, correction);
  const TensorPair out = spread_mean(t, given.dims, given.correction, keepdim, root);
  warn_of_degrees_of_freedom(name, t, out.values, given.correction);
  return out;
}

const Operator var_operator(
    {.signature = "var(input, dim=None, unbiased=None, keepdim=False, *, correction=None)",
     .forms = kFunction | kMethod | kOut,
     .doc =
         R"(Compute the variance in two passes, with the divisor n - correction (default correction: 1).

unbiased=False, or var(input, False), sets the correction to 0.

Raises RuntimeError for integers. Gradient: input, any order.)",
     .forward = variance_or_deviation<false>,
     .reference = "np.var(input, None if dim is False else dim, ddof=0 if dim is False or unbiased is False else 1 if "
                  "correction is None else correction, keepdims=keepdim)",
     .samples = "f(2, 3); f(2, 3), False; f(2, 3), 1, False; f(2, 3, 4), (0, -1), keepdim=True, correction=2"});

const Operator std_operator(
    {.signature = "std(input, dim=None, unbiased=None, keepdim=False, *, correction=None)",
     .forms = kFunction | kMethod | kOut,
     .doc = "Compute the square root of var(). Gradient: input; 0 where the deviation is 0.",
     .forward = variance_or_deviation<true>,
     .reference = "np.std(input, None if dim is False else dim, ddof=0 if dim is False or unbiased is False else 1 if "
                  "correction is None else correction, keepdims=keepdim)",
     .samples = "f(2, 3); f(2, 3), False; f(2, 3), 1, False; f(2, 3, 4), (0, -1), keepdim=True, correction=2"});

const Operator var_mean_operator(
    {.signature = "var_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None)",
     .forms = kFunction,
     .doc = "Compute var() and mean() in one pass over the elements. Gradient: input, any order.",
     .forward = spread_with_mean<false>,
     .reference = "(np.var(input, dim, ddof=0 if unbiased is False else 1), np.mean(input, dim))",
     .samples = "f(2, 3); f(2, 3), 1, False; f(2, 3, 4), (0, -1)"});

const Operator std_mean_operator(
    {.signature = "std_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None)",
     .forms = kFunction,
     .doc = "Compute std() and mean() in one pass over the elements. Gradient: input, any order.",
     .forward = spread_with_mean<true>,
     .reference = "(np.std(input, dim, ddof=0 if unbiased is False else 1), np.mean(input, dim))",
     .samples = "f(2, 3); f(2, 3), 1, False; f(2, 3, 4), (0, -1)"});

}  // namespace

}  // namespace flambeau
