// Composites on rows: what needs a default, a mode or another order of arguments.
#include "bind.h"
#include "flambeau/rows/arithmetic.h"
#include "flambeau/rows/exponential.h"
#include "flambeau/rows/selection.h"

#include <cmath>
#include <limits>

namespace flambeau::python {

namespace {

constexpr int kUsual = kFunction | kMethod | kInPlace | kOut;

Tensor scaled_sum(const Operand& x, const Operand& y, Scalar alpha, double sign) {
  const auto kind = [](const Operand& o) { return o.tensor ? category(o.tensor->dtype()) : o.scalar.kind(); };
  const Category both = std::max(kind(x), kind(y));
  require(alpha.kind() < Category::Floating || both >= Category::Floating,
          "For integral input tensors, argument alpha must not be a floating point number.");
  require(alpha.kind() != Category::Complex || both == Category::Complex,
          "For non-complex input tensors, argument alpha must not be a complex number.");
  return _add_scaled(x, y, sign > 0 ? alpha : -alpha);
}

Tensor divide(const Operand& x, const Operand& y, std::optional<std::string_view> mode) {
  if (!mode) return div(x, y);
  if (*mode == "floor") return floor_divide(x, y);
  require(*mode == "trunc", "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '", *mode,
          "'");
  return _trunc_divide(x, y);
}

void require_condition(const Tensor& condition) {
  require(condition.dtype() == Dtype::bool_ || condition.dtype() == Dtype::uint8,
          "where expected condition to be a boolean tensor, but got a tensor with dtype ", condition.dtype());
}

Tensor clamp(const Tensor& t, const Operand* low, const Operand* high) {
  require(low || high, "clamp: At least one of 'min' or 'max' must not be None");
  if (low && high) return _clip(t, *low, *high);
  return low ? clamp_min(t, *low) : clamp_max(t, *high);
}

PyObject* clamp_objects(const Tensor& t, PyObject* low, PyObject* high) {
  Operand bounds[2] = {0, 0};
  PyObject* given[2] = {low, high};
  for (int i = 0; i < 2; ++i)
    require<TypeError>(given[i] == Py_None || to_operand(given[i], bounds[i]), "clamp(): argument '", i ? "max" : "min",
                       "' must be Tensor or Number, not ", Py_TYPE(given[i])->tp_name);
  return wrap_tensor(clamp(t, low == Py_None ? nullptr : &bounds[0], high == Py_None ? nullptr : &bounds[1]));
}

Tensor float_power(const Operand& base, const Operand& exponent) {
  require<TypeError>(base.tensor || exponent.tensor, "float_power(): one of base and exponent must be a Tensor");
  const Operand both[] = {base, exponent};
  const Dtype dtype = is_complex(result_type(both, 2)) ? Dtype::complex128 : Dtype::float64;
  const auto wide = [&](const Operand& operand) -> Tensor {
    if (operand.tensor) return to(*operand.tensor, dtype);
    return wrapped_number(operand.scalar.kind() == Category::Complex ? operand.scalar : Scalar(operand.scalar.real()));
  };
  const Tensor x = wide(base), y = wide(exponent);
  return power(base.tensor ? Operand(x) : base, exponent.tensor ? Operand(y) : exponent);
}

// x + y op z with a factor of y. In half types y is scaled in float32, so that the sum is the only rounding; in integer
// types the factor is its integer part.
Tensor add_scaled(const Tensor& x, const Tensor& y, const Tensor& z, Scalar value,
                  Tensor (*row)(const Operand&, const Operand&, const Operand&)) {
  if (value.equals(1)) return row(x, y, z);
  const Operand all[] = {x, y, z};
  const Dtype dtype = result_type(all, 3);
  require(fits(value, dtype), "value cannot be converted to type ", dtype, " without overflow");
  if (dtype != Dtype::float16 && dtype != Dtype::bfloat16)
    return row(x, mul(y, is_inexact(dtype) ? value : Scalar(value.integer())), z);
  return to(row(x, mul(to(y, Dtype::float32), value), z), dtype);
}

// x * 2**y: the power of two in the floating dtype of the result.
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
  const Dtype exact = item_size(x.dtype()) <= 2 ? Dtype::float32 : Dtype::float64;  // for whole numbers of that size
  const Tensor a = whole ? to(x, exact) : x, b = whole ? to(y, exact) : y;
  const Tensor difference = abs(sub(a, b)), allowed = add(mul(abs(b), rtol), atol);
  const Tensor near = le(difference, allowed);
  return logical_or(close, whole ? near : logical_and(isfinite(difference), near));
}

}  // namespace

void bind_arithmetic() {
  def("add(input, other, *, alpha=1)", kUsual | kRow, "input + alpha * other. Gradient: both operands, any order.",
      [](const Operand& x, const Operand& y, Scalar alpha) {
        return alpha.equals(1) ? add(x, y) : scaled_sum(x, y, alpha, 1);
      });
  def("sub|subtract(input, other, *, alpha=1)", kUsual | kRow,
      "input - alpha * other. Gradient: both operands, any order.",
      [](const Operand& x, const Operand& y, Scalar alpha) {
        return alpha.equals(1) ? sub(x, y) : scaled_sum(x, y, alpha, -1);
      });
  def("div|divide(input, other, *, rounding_mode=None)", kUsual | kRow,
      "input / other; with rounding_mode 'floor' or 'trunc' the quotient rounded down or towards zero. Gradient: "
      "both operands.",
      divide);
  def("float_power(input, exponent)", kUsual, "input**exponent in float64. Gradient: both operands, any order.",
      float_power);
  def("clamp|clip(input, min=None, max=None)", kUsual,
      "Limits the values to [min, max]. Gradient: input's where the value is inside, the bound's where it is not.",
      clamp_objects);
  def("positive(input)", kFunction | kMethod, "The tensor itself.", [](PyObject* x) {
    require<TypeError>(is_tensor(x), "positive(): argument 'input' must be Tensor, not ", Py_TYPE(x)->tp_name);
    require(tensor_of(x).dtype() != Dtype::bool_, "The `+` operator, on a bool tensor is not supported.");
    return Py_NewRef(x);
  });
  def("rsub(input, other, *, alpha=1)", kFunction, "other - alpha * input.",
      [](const Tensor& x, const Operand& y, Scalar alpha) {
        return alpha.equals(1) ? sub(y, x) : scaled_sum(y, x, alpha, -1);
      });
  def("round(input, *, decimals=0)", kUsual,
      "Nearest integer (or multiple of 10**-decimals), halves to even. Gradient: zero.", round_to);
  def("logit(input, eps=None)", kUsual,
      "log(x / (1 - x)), x the input, limited to [eps, 1 - eps] if eps is given. Gradient: input, any order.",
      logit_within);
  def("ldexp(input, other)", kUsual, "input * 2**other. Gradient: both operands, any order.", ldexp);
  def("frexp(input)", kFunction | kMethod | kOut,
      "Mantissa in [1/2, 1) and exponent (int32): input = mantissa * 2**exponent. Gradient: the mantissa's.",
      [](const Tensor& x) {
        return named_tuple("frexp", {_frexp_mantissa(x), to(_frexp_exponent(detach(x)), Dtype::int32)});
      });
  def("nan_to_num(input, nan=None, posinf=None, neginf=None)", kUsual,
      "NaN replaced by nan (0), infinities by posinf and neginf (the dtype's largest and smallest number). Gradient: "
      "input's where it is finite.",
      nan_to_num);
  def("isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False)", kFunction | kMethod,
      "Whether |input - other| <= atol + rtol * |other|, or both are equal.", isclose);
  def("allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False)", kFunction | kMethod,
      "Whether isclose() holds everywhere.",
      [](const Tensor& x, const Tensor& y, double rtol, double atol, bool equal_nan) {
        return item(all(isclose(x, y, rtol, atol, equal_nan), {}, false)).truth();
      });
  def("addcmul(input, tensor1, tensor2, *, value=1)", kUsual,
      "input + value * tensor1 * tensor2. Gradient: all three tensors.",
      [](const Tensor& x, const Tensor& y, const Tensor& z, Scalar value) {
        return add_scaled(x, y, z, value, addcmul);
      });
  def("addcdiv(input, tensor1, tensor2, *, value=1)", kUsual,
      "input + value * tensor1 / tensor2. Gradient: all three tensors.",
      [](const Tensor& x, const Tensor& y, const Tensor& z, Scalar value) {
        require(is_inexact(y.dtype()) || is_inexact(z.dtype()),
                "Integer division with addcdiv is not supported: use div(..., rounding_mode='trunc') or floating "
                "tensors, got ",
                y.dtype(), " and ", z.dtype());
        return add_scaled(x, y, z, value, addcdiv);
      });
  def("where(condition, input=None, other=None)", kFunction | kOut,
      "input where condition is true, else other; with the condition alone, the indices of its true elements, one "
      "tensor a dimension.",
      [](const Tensor& condition, PyObject* x, PyObject* y) -> PyObject* {
        if (x == Py_None && y == Py_None) return to_python(unbind(nonzero(condition), 1));
        require_condition(condition);
        Operand a(0), b(0);
        require<TypeError>(to_operand(x, a) && to_operand(y, b), "where(): input and other must be Tensors or Numbers");
        return wrap_tensor(where(condition, a, b));
      });
  def("where(input, condition, other)", kMethod, "input where condition is true, else other.",
      [](const Tensor& x, const Tensor& condition, const Operand& other) {
        require_condition(condition);
        return where(condition, x, other);
      });
  def("result_type(tensor1|tensor, tensor2|other)", kFunction, "The dtype the two operands promote to.",
      [](const Operand& x, const Operand& y) {
        const Operand both[] = {x, y};
        return result_type(both, 2);
      });
  def("promote_types(type1, type2)", kFunction, "The smallest dtype both convert to.",
      [](Dtype a, Dtype b) { return promote(a, b); });
  def("can_cast(from_, to)", kFunction, "Whether a result of the first dtype may be stored in the second.",
      [](Dtype a, Dtype b) { return can_cast(a, b); });
}

}  // namespace flambeau::python
