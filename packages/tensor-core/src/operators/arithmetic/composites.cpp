// Operators that consist of pointwise operators, with a default, a mode or another order of arguments.
#include <cmath>
#include <limits>

#include "core/overlap.h"
#include "flambeau/interpreter.h"
#include "flambeau/operator.h"
#include "flambeau/pointwise/arithmetic.h"
#include "flambeau/pointwise/exponential.h"
#include "flambeau/pointwise/selection.h"
#include "kernels/table.h"

namespace flambeau {

namespace {

// Returns true for the number 1, but not for True, which factor_of() must check.
bool is_one(Scalar alpha) { return alpha.equals(1) && alpha.kind() != Category::Boolean; }

// Returns the factor of y in x + alpha * y, or in x - alpha * y for op::sub.
template <PointwiseOp row>
Scalar factor_of(const Operand& x, const Operand& y, Scalar alpha) {
  const auto kind = [](const Operand& o) { return o.tensor ? category(o.tensor->dtype()) : o.scalar.kind(); };
  const Category both = std::max(kind(x), kind(y));
  require(alpha.kind() != Category::Boolean || both == Category::Boolean,
          "Boolean alpha only supported for Boolean results, got alpha=", alpha);
  require(alpha.kind() < Category::Floating || both >= Category::Floating,
          "For integral input tensors, argument alpha must not be a floating point number.");
  require(alpha.kind() != Category::Complex || both == Category::Complex,
          "For non-complex input tensors, argument alpha must not be a complex number.");
  return row == op::sub ? -alpha : alpha;
}

// Implements add and sub, with their in-place forms and out=. If alpha is 1, calls the pointwise operators `add` and
// `sub`.
template <PointwiseOp row>
Tensor scaled_sum(const Operand& x, const Operand& y, Scalar alpha) {
  const Operand operands[] = {x, y};
  return is_one(alpha) ? pointwise(row, operands) : _add_scaled(x, y, factor_of<row>(x, y, alpha));
}
template <PointwiseOp row>
Tensor scaled_sum_(const Tensor& x, const Operand& y, Scalar alpha) {
  const Operand operands[] = {x, y, is_one(alpha) ? Operand(0) : Operand(factor_of<row>(x, y, alpha))};
  return pointwise_(is_one(alpha) ? row : op::_add_scaled, operands, row_of(row).name);
}
template <PointwiseOp row>
Tensor scaled_sum_into(const Operand& x, const Operand& y, Scalar alpha, const Tensor& out) {
  const Operand operands[] = {x, y, is_one(alpha) ? Operand(0) : Operand(factor_of<row>(x, y, alpha))};
  return pointwise_into(is_one(alpha) ? row : op::_add_scaled, operands, out, row_of(row).name);
}

// Returns the pointwise operator that divides with a rounding mode.
PointwiseOp division(std::optional<std::string_view> mode) {
  if (!mode) return op::div;
  if (*mode == "floor") return op::floor_divide;
  require(*mode == "trunc", "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '", *mode,
          "'");
  return op::_trunc_divide;
}
Tensor divide(const Operand& x, const Operand& y, std::optional<std::string_view> mode) {
  const Operand operands[] = {x, y};
  return pointwise(division(mode), operands);
}
Tensor divide_(const Tensor& x, const Operand& y, std::optional<std::string_view> mode) {
  const Operand operands[] = {x, y};
  return pointwise_(division(mode), operands, "div");
}
Tensor divide_into(const Operand& x, const Operand& y, std::optional<std::string_view> mode, const Tensor& out) {
  const Operand operands[] = {x, y};
  return pointwise_into(division(mode), operands, out, "div");
}

void require_condition(const Tensor& condition) {
  require(condition.dtype() == Dtype::bool_ || condition.dtype() == Dtype::uint8,
          "where expected condition to be a boolean tensor, but got a tensor with dtype ", condition.dtype());
  if (condition.dtype() == Dtype::uint8)
    warn(
        "where received a uint8 condition tensor. This behavior is deprecated and will be removed in a future version "
        "of PyTorch. Use a boolean condition instead.");
}

// The pointwise operator that computes a clamp, with its operands: the tensor and the bounds that are given.
struct Clamping {
  using Bound = std::optional<Operand>;

  Clamping(const Tensor& x, const Bound& low, const Bound& high) : operands{x, 0, 0} {
    require(low || high, "clamp: At least one of 'min' or 'max' must not be None");
    row = !high ? op::clamp_min : !low ? op::clamp_max : op::_clip;
    operands[1] = low ? *low : *high;
    if (low && high) operands[2] = *high;
    for (const Operand& o : operands)
      require<NotImplementedError>((o.tensor ? category(o.tensor->dtype()) : o.scalar.kind()) != Category::Complex,
                                   "clamp is not supported for complex types");
  }

  PointwiseOp row;
  Operand operands[3];
};

Tensor clamp(const Tensor& x, const std::optional<Operand>& low, const std::optional<Operand>& high) {
  const Clamping c(x, low, high);
  return pointwise(c.row, c.operands);
}
Tensor clamp_(const Tensor& x, const std::optional<Operand>& low, const std::optional<Operand>& high) {
  const Clamping c(x, low, high);
  return pointwise_(c.row, c.operands, "clamp");
}
Tensor clamp_into(const Tensor& x, const std::optional<Operand>& low, const std::optional<Operand>& high,
                  const Tensor& out) {
  const Clamping c(x, low, high);
  return pointwise_into(c.row, c.operands, out, "clamp");
}

Tensor float_power(const Operand& base, const Operand& exponent) {
  require<TypeError>(base.tensor || exponent.tensor, "float_power(): one of base and exponent must be a Tensor");
  const Operand both[] = {base, exponent};
  const Dtype dtype = is_complex(result_type(both, 2)) ? Dtype::complex128 : Dtype::float64;
  const auto convert = [&](const Operand& operand) -> Tensor {
    if (operand.tensor) return to(*operand.tensor, dtype);
    return wrapped_number(operand.scalar.kind() == Category::Complex ? operand.scalar : Scalar(operand.scalar.real()));
  };
  const Tensor x = convert(base), y = convert(exponent);
  return power(base.tensor ? Operand(x) : base, exponent.tensor ? Operand(y) : exponent);
}

// A kernel with the operands x, y, z and value, which computes a pointwise operator of x, value * y and z. It scales a
// few elements of y at a time, which stay in the first-level cache.
template <PointwiseOp row, Compute type>
void scaled_kernel(char* const* pointers, int64_t n) {
  constexpr int64_t kPiece = 2048;
  alignas(64) char scaled[kPiece + 64];
  const auto& rows = kernels::table().pointwise;
  const int64_t size = type == Compute::f64 ? 8 : 4, step = kPiece / size;
  for (int64_t i = 0; i < n; i += step) {
    const auto at = [&](int k) { return pointers[k] + i * size; };
    char *const product[] = {scaled, at(2), at(4)}, *const sum[] = {at(0), at(1), scaled, at(3)};
    rows[int(op::mul)][int(type)](product, std::min(step, n - i));
    rows[int(row)][int(type)](sum, std::min(step, n - i));
  }
}

// Returns true if the operands need no conversion, no broadcast and no gradient, so that scaled_kernel() can be used.
bool is_plain(const Tensor& x, const Tensor& y, const Tensor& z) {
  const auto like = [&](const Tensor& t) { return t.dtype() == x.dtype() && t.shape() == x.shape(); };
  return is_floating(x.dtype()) && like(y) && like(z) && x.device() == DeviceType::Cpu &&
         y.device() == DeviceType::Cpu && z.device() == DeviceType::Cpu && !recording(x, y, z);
}
template <PointwiseOp row>
void run_scaled(const Tensor& x, const Tensor& y, const Tensor& z, Scalar value, const Tensor& out) {
  const bool wide = x.dtype() == Dtype::float64;
  const Dtype dtype = wide ? Dtype::float64 : Dtype::float32;
  const Operand operands[] = {x, y, z, value};
  run_kernel(wide ? scaled_kernel<row, Compute::f64> : scaled_kernel<row, Compute::f32>, out, dtype, operands, 4,
             dtype);
}

// Returns value * y for add_scaled(). In half precision the product is float32, so that only the result is rounded. For
// integers, `value` is truncated.
Tensor scaled_factor(const Tensor& x, const Tensor& y, const Tensor& z, Scalar value) {
  if (value.equals(1)) return y;
  const Operand all[] = {x, y, z};
  const Dtype dtype = result_type(all, 3);
  require(fits(value, dtype), "value cannot be converted to type ", dtype, " without overflow");
  if (dtype == Dtype::float16 || dtype == Dtype::bfloat16) return mul(to(y, Dtype::float32), value);
  return mul(y, is_inexact(dtype) ? value : Scalar(value.integer()));
}

// Computes x + value * y * z (addcmul) or x + value * y / z (addcdiv).
template <PointwiseOp row>
Tensor add_scaled(const Tensor& x, const Tensor& y, const Tensor& z, Scalar value) {
  if (!value.equals(1) && is_plain(x, y, z) && x.is_contiguous() && fits(value, x.dtype())) {
    const Tensor out = empty(x.shape(), x.dtype());
    run_scaled<row>(x, y, z, value, out);
    return out;
  }
  const Tensor factor = scaled_factor(x, y, z, value);
  const Operand operands[] = {x, factor, z}, all[] = {x, y, z};
  return to(pointwise(row, operands), result_type(all, 3));
}
template <PointwiseOp row>
Tensor add_scaled_(const Tensor& x, const Tensor& y, const Tensor& z, Scalar value) {
  const auto can_be_read = [&](const Tensor& t) { return same_elements(t, x) || !may_overlap(t, x); };
  if (!value.equals(1) && is_plain(x, y, z) && can_be_read(y) && can_be_read(z) && fits(value, x.dtype())) {
    begin_inplace(x, row_of(row).name);
    run_scaled<row>(x, y, z, value, x);
    forget_history(x, row_of(row).node_name);
    return x;
  }
  const Tensor factor = scaled_factor(x, y, z, value);
  const Operand operands[] = {x, factor, z};
  return pointwise_(row, operands);
}

void require_inexact_quotient(const Tensor& y, const Tensor& z) {
  require(is_inexact(y.dtype()) || is_inexact(z.dtype()),
          "Integer division with addcdiv is no longer supported: use div(..., rounding_mode='trunc') or floating "
          "tensors, got ",
          y.dtype(), " and ", z.dtype());
}

// Computes x * 2**y, with the power of two in the floating dtype of the result.
Tensor ldexp(const Tensor& x, const Tensor& y) {
  const Operand both[] = {x, y};
  const Dtype dtype = result_type(both, 2);
  return mul(x, exp2(to(y, is_inexact(dtype) ? dtype : default_dtype())));
}

Tensor round_to(const Tensor& x, int64_t decimals) {
  if (decimals == 0) return round(x);
  require<NotImplementedError>(is_floating(x.dtype()), "round with decimals is not implemented for '", x.dtype(), "'");
  const double scale = std::pow(10.0, std::abs(double(decimals)));
  return decimals > 0 ? _round_decimals(x, scale) : _round_tens(x, scale);
}

Tensor logit_within(const Tensor& x, std::optional<double> eps) {
  return eps ? logit(_clip(x, *eps, 1 - *eps)) : logit(x);
}

double largest(Dtype dtype) {
  switch (dtype) {
    case Dtype::float16:
      return 65504;
    case Dtype::bfloat16:
      return 3.3895313892515355e38;
    default:
      return dtype == Dtype::float32 ? std::numeric_limits<float>::max() : std::numeric_limits<double>::max();
  }
}

Tensor nan_to_num(const Tensor& x, std::optional<double> nan, std::optional<double> high, std::optional<double> low) {
  if (is_complex(x.dtype())) return view_as_complex(nan_to_num(view_as_real(x), nan, high, low));
  if (!is_floating(x.dtype())) return clone(x);
  const double limit = largest(x.dtype());
  const double above = high.value_or(limit), below = low.value_or(-limit);
  const Tensor replaced = _replace_nan_and_infinity(x, nan.value_or(0), above);
  return below == -above ? replaced : masked_fill(replaced, eq(x, -INFINITY), below);
}

Tensor isclose(const Tensor& x, const Tensor& y, double rtol, double atol, bool equal_nan) {
  require(x.dtype() == y.dtype(), x.dtype(), " did not match ", y.dtype());
  require(rtol >= 0 && atol >= 0, "isclose expected rtol and atol to be at least 0, got ", rtol, " and ", atol);
  NoRecording off;
  Tensor close = eq(x, y);
  if (equal_nan && is_inexact(x.dtype())) close = logical_or(close, logical_and(isnan(x), isnan(y)));
  if (rtol == 0 && atol == 0) return close;
  const bool whole = !is_inexact(x.dtype());
  // This dtype represents these integers exactly.
  const Dtype exact = item_size(x.dtype()) <= 2 ? Dtype::float32 : Dtype::float64;
  const Tensor a = whole ? to(x, exact) : x, b = whole ? to(y, exact) : y;
  const Tensor difference = abs(sub(a, b)), allowed = add(mul(abs(b), rtol), atol);
  const Tensor near = le(difference, allowed);
  return logical_or(close, whole ? near : logical_and(isfinite(difference), near));
}

const Operator add_operator(
    {.signature = "add(input, other, *, alpha=1)",
     .forms = kFunction | kMethod | kInPlace | kOut,
     .doc = "Compute input + alpha * other. Gradient: both operands, any order.",
     .forward = scaled_sum<op::add>,
     .in_place = scaled_sum_<op::add>,
     .into = scaled_sum_into<op::add>,
     .reference = "np.add(input, alpha * other)",
     .samples = "f(2, 3), f(3); f(2, 3), 2, alpha=-0.5; i(3), i(3), alpha=2; c(3), f(3); b(3), b(3)"});

const Operator sub_operator({.signature = "sub|subtract(input, other, *, alpha=1)",
                             .forms = kFunction | kMethod | kInPlace | kOut,
                             .doc = "Compute input - alpha * other. Gradient: both operands, any order.",
                             .forward = scaled_sum<op::sub>,
                             .in_place = scaled_sum_<op::sub>,
                             .into = scaled_sum_into<op::sub>,
                             .reference = "np.subtract(input, alpha * other)",
                             .samples = "f(2, 3), f(3); f(2, 3), 2, alpha=-0.5; i(3), i(3), alpha=2; 1.0, c(3)"});

const Operator div_operator(
    {.signature = "div|divide(input, other, *, rounding_mode=None)",
     .forms = kFunction | kMethod | kInPlace | kOut,
     .doc = "Compute input / other. With rounding_mode 'floor' or 'trunc', round the quotient down or towards zero. "
            "Gradient: both operands.",
     .forward = divide,
     .in_place = divide_,
     .into = divide_into,
     .reference = "{None: np.true_divide, 'floor': np.floor_divide, 'trunc': lambda x, y: np.trunc(x / "
                  "y)}[rounding_mode](input, other)",
     .samples = "f(2, 3), p(3); i(3), 4; f(3), p(3), rounding_mode='floor'; f(3), p(3), rounding_mode='trunc'"});

const Operator float_power_operator({.signature = "float_power(input, exponent)",
                                     .forms = kFunction | kMethod | kInPlace | kOut,
                                     .doc = "Compute input**exponent in float64. Gradient: both operands, any order.",
                                     .forward = float_power,
                                     .reference = "np.float_power(input, exponent)",
                                     .samples = "p(2, 3), f(3); i(3), 2; 2, f(3); c(3), 2"});

const Operator clamp_operator(
    {.signature = "clamp|clip(input, min=None, max=None)",
     .forms = kFunction | kMethod | kInPlace | kOut,
     .doc = "Limit the values to [min, max]. Gradient: input where it is inside the interval, otherwise the bound.",
     .forward = clamp,
     .in_place = clamp_,
     .into = clamp_into,
     .reference = "np.clip(input, min, max)",
     .samples = "f(2, 3), -0.5, 0.5; f(2, 3), 0; f(2, 3), None, 0.25; f(2, 3), f(3) - 1, p(3); i(4), -2, 2"});

const Operator positive_operator({.signature = "positive(input)",
                                  .forms = kFunction | kMethod,
                                  .doc = "Return the tensor itself.",
                                  .forward =
                                      [](const Tensor& x) {
                                        require(x.dtype() != Dtype::bool_,
                                                "The `+` operator, on a bool tensor is not supported.");
                                        return x;
                                      },
                                  .reference = "input",
                                  .samples = "f(3); i(3)"});

const Operator rsub_operator({.signature = "rsub(input, other, *, alpha=1)",
                              .forms = kFunction,
                              .doc = "Compute other - alpha * input.",
                              .forward =
                                  [](const Tensor& x, const Operand& y, Scalar alpha) {
                                    return alpha.equals(1) ? sub(y, x) : scaled_sum<op::sub>(y, x, alpha);
                                  },
                              .reference = "other - alpha * input",
                              .samples = "f(2, 3), f(3); f(3), 2, alpha=-0.5; i(3), i(3), alpha=2"});

const Operator round_operator({.signature = "round(input, *, decimals=0)",
                               .forms = kFunction | kMethod | kInPlace | kOut,
                               .doc = "Round to the nearest integer (or multiple of 10**-decimals); halfway cases are "
                                      "rounded to even. Gradient: zero.",
                               .forward = round_to,
                               .reference = "np.round(input, decimals)",
                               .samples = "f(2, 3); f(2, 3), decimals=1; 100 * f(3), decimals=-1; i(3)"});

const Operator logit_operator(
    {.signature = "logit(input, eps=None)",
     .forms = kFunction | kMethod | kInPlace | kOut,
     .doc = "Compute log(x / (1 - x)). If eps is given, x is input limited to [eps, 1 - eps], otherwise x is input. "
            "Gradient: input, any order.",
     .forward = logit_within,
     .reference = "scipy.special.logit(input if eps is None else np.clip(input, eps, 1 - eps))",
     .samples = "p(2, 3) / 2; p(3) / 2, 0.25"});

const Operator ldexp_operator({.signature = "ldexp(input, other)",
                               .forms = kFunction | kMethod | kInPlace | kOut,
                               .doc = "Compute input * 2**other. Gradient: both operands, any order.",
                               .forward = ldexp,
                               .reference = "input * 2.0**other",
                               .samples = "f(2, 3), f(3); f(3), i(3)"});

const Operator frexp_operator({.signature = "frexp(input)",
                               .forms = kFunction | kMethod | kOut | kExactOut,
                               .doc = "Split into a mantissa in [1/2, 1) and an int32 exponent: input = mantissa * "
                                      "2**exponent. Gradient: input, through the mantissa.",
                               .forward =
                                   [](const Tensor& x) {
                                     return TensorPair{_frexp_mantissa(x),
                                                       to(_frexp_exponent(detach(x)), Dtype::int32)};
                                   },
                               .fields = "mantissa, exponent",
                               .reference = "np.frexp(input)",
                               .samples = "f(2, 3)"});

const Operator nan_to_num_operator(
    {.signature = "nan_to_num(input, nan=None, posinf=None, neginf=None)",
     .forms = kFunction | kMethod | kInPlace | kOut | kExactOut,
     .doc = "Replace NaN with nan (default: 0), and infinities with posinf and neginf (default: the largest and "
            "smallest number of the dtype). Gradient: input, where it is finite.",
     .forward = nan_to_num,
     .reference = "np.nan_to_num(input, nan=0 if nan is None else nan, posinf=posinf, neginf=neginf)",
     .samples = "np.array([0.5, np.nan, np.inf, -np.inf]); np.array([np.nan, np.inf, -np.inf, 2]), 1, 2, 3; i(3)"});

const Operator isclose_operator(
    {.signature = "isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False)",
     .forms = kFunction | kMethod,
     .doc = "Return True for elements with |input - other| <= atol + rtol * |other|, or that are equal.",
     .forward = isclose,
     .reference = "np.isclose(input, other, rtol, atol, equal_nan)",
     .samples = "f(2, 3), f(2, 3); f(2, 3), f(3), 0.5, 1; i(3), i(3)"});

const Operator allclose_operator({.signature = "allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False)",
                                  .forms = kFunction | kMethod,
                                  .doc = "Return True if isclose() is True for all elements.",
                                  .forward =
                                      [](const Tensor& x, const Tensor& y, double rtol, double atol, bool equal_nan) {
                                        return item(all(isclose(x, y, rtol, atol, equal_nan), {}, false)).truth();
                                      },
                                  .reference = "np.allclose(input, other, rtol, atol, equal_nan)",
                                  .samples = "f(2, 3), f(2, 3); f(2, 3), f(3)"});

const Operator addcmul_operator(
    {.signature = "addcmul(input, tensor1, tensor2, *, value=1)",
     .forms = kFunction | kMethod | kInPlace | kOut,
     .doc = "Compute input + value * tensor1 * tensor2. Gradient: all three tensors.",
     .forward = add_scaled<op::addcmul>,
     .in_place = add_scaled_<op::addcmul>,
     .reference = "input + value * tensor1 * tensor2",
     .samples = "f(2, 3), f(3), f(2, 1); f(3), f(3), f(3), value=-0.5; i(3), i(3), i(3), value=2"});

const Operator addcdiv_operator({.signature = "addcdiv(input, tensor1, tensor2, *, value=1)",
                                 .forms = kFunction | kMethod | kInPlace | kOut,
                                 .doc = "Compute input + value * tensor1 / tensor2. Gradient: all three tensors.",
                                 .forward =
                                     [](const Tensor& x, const Tensor& y, const Tensor& z, Scalar value) {
                                       require_inexact_quotient(y, z);
                                       return add_scaled<op::addcdiv>(x, y, z, value);
                                     },
                                 .in_place =
                                     [](const Tensor& x, const Tensor& y, const Tensor& z, Scalar value) {
                                       require_inexact_quotient(y, z);
                                       return add_scaled_<op::addcdiv>(x, y, z, value);
                                     },
                                 .reference = "input + value * tensor1 / tensor2",
                                 .samples = "f(2, 3), f(3), p(2, 1); f(3), f(3), p(3), value=-0.5"});

const Operator where_operator(
    {.signature = "where(condition, input=None, other=None)",
     .forms = kFunction | kOut | kExactOut,
     .doc = "Select input where condition is true, and other elsewhere. If only condition is given, return the indices "
            "of its true elements, as one tensor for each dimension.",
     .forward = [](const Tensor& condition, const std::optional<Operand>& x,
                   const std::optional<Operand>& y) -> TensorOrTensors {
       if (!x && !y) return unbind(nonzero(condition), 1);
       require_condition(condition);
       require<TypeError>(x && y, "where(): input and other must be Tensors or Numbers");
       return where(condition, *x, *y);
     },
     .reference = "np.nonzero(condition) if input is None else np.where(condition, input, other)",
     .samples = "b(2, 3), f(3), f(2, 1); b(3), f(3), 2; b(2, 3)"});

const Operator where_method({.signature = "where(input, condition, other)",
                             .forms = kMethod,
                             .doc = "Select input where condition is true, and other elsewhere.",
                             .forward = [](const Tensor& x, const Tensor& condition, const Operand& other) {
                               require_condition(condition);
                               return where(condition, x, other);
                             }});

}  // namespace

}  // namespace flambeau
