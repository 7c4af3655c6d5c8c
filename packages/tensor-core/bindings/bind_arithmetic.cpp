// Composites on rows: what needs a default, a mode or another order of arguments.
#include "bind.h"

#include <cmath>

namespace flambeau::python {

namespace {

constexpr int kUsual = kFunction | kMethod | kInPlace | kOut;

Tensor scaled_sum(const Operand& x, const Operand& y, Scalar alpha, double sign) {
  require(alpha.kind() != Category::Floating || (!x.tensor || is_floating(x.tensor->dtype())) ||
              (y.tensor && is_floating(y.tensor->dtype())),
          "For integral input tensors, argument alpha must not be a floating point number.");
  if (sign > 0) return _add_scaled(x, y, alpha);
  return _add_scaled(x, y, alpha.kind() == Category::Floating ? Scalar(-alpha.real()) : Scalar(-alpha.integer()));
}

Tensor divide(const Operand& x, const Operand& y, std::optional<std::string_view> mode) {
  if (!mode) return div(x, y);
  if (*mode == "floor") return floor_divide(x, y);
  require(*mode == "trunc", "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '", *mode,
          "'");
  return _trunc_divide(x, y);
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

Tensor gelu(const Tensor& t, std::string_view approximate) {
  require(approximate == "none" || approximate == "tanh", "approximate argument must be either none or tanh, got '",
          approximate, "'");
  return approximate == "none" ? _gelu_erf(t) : _gelu_tanh(t);
}

}  // namespace

void bind_arithmetic() {
  def("add(input, other, *, alpha=1)", kUsual | kRow, "input + alpha * other. Gradient: both operands, any order.",
      [](const Operand& x, const Operand& y, Scalar alpha) {
        return alpha.real() == 1 ? add(x, y) : scaled_sum(x, y, alpha, 1);
      });
  def("sub(input, other, *, alpha=1)", kUsual | kRow, "input - alpha * other. Gradient: both operands, any order.",
      [](const Operand& x, const Operand& y, Scalar alpha) {
        return alpha.real() == 1 ? sub(x, y) : scaled_sum(x, y, alpha, -1);
      });
  for (const auto& [signature, flags] : {std::pair{"div(input, other, *, rounding_mode=None)", kUsual | kRow},
                                         std::pair{"divide(input, other, *, rounding_mode=None)", kUsual}})
    def(signature, flags,
        "input / other; with rounding_mode 'floor' or 'trunc' the quotient rounded down or towards zero. Gradient: "
        "both operands.",
        divide);
  for (const char* signature : {"pow(input, exponent)", "float_power(input, exponent)"})
    def(signature, kUsual,
        "input**exponent. Gradient: both operands, any order; where the base is 0 the exponent's is 0.",
        [](const Operand& x, const Operand& y) { return power(x, y); });
  for (const char* signature : {"clamp(input, min=None, max=None)", "clip(input, min=None, max=None)"})
    def(signature, kUsual,
        "Limits the values to [min, max]. Gradient: input's where the value is inside, the bound's where it is not.",
        clamp_objects);
  def("multiply(input, other)", kUsual, "input * other.", [](const Operand& x, const Operand& y) { return mul(x, y); });
  def("subtract(input, other, *, alpha=1)", kUsual, "input - alpha * other.",
      [](const Operand& x, const Operand& y, Scalar alpha) {
        return alpha.real() == 1 ? sub(x, y) : scaled_sum(x, y, alpha, -1);
      });
  def("true_divide(input, other)", kUsual, "input / other.",
      [](const Operand& x, const Operand& y) { return div(x, y); });
  def("rsub(input, other, *, alpha=1)", kFunction, "other - alpha * input.",
      [](const Operand& x, const Operand& y, Scalar alpha) {
        return alpha.real() == 1 ? sub(y, x) : scaled_sum(y, x, alpha, -1);
      });
  def("negative(input)", kUsual, "-input.", [](const Tensor& x) { return neg(x); });
  def("absolute(input)", kUsual, "The absolute value.", [](const Tensor& x) { return abs(x); });
  def("greater(input, other)", kFunction | kMethod | kOut, "input > other.",
      [](const Operand& x, const Operand& y) { return gt(x, y); });
  def("less(input, other)", kFunction | kMethod | kOut, "input < other.",
      [](const Operand& x, const Operand& y) { return lt(x, y); });
  def("bitwise_not(input)", kUsual, "Bits inverted; of booleans, not.",
      [](const Tensor& x) { return x.dtype() == Dtype::bool_ ? logical_not(x) : bitwise_not(x); });
  def("round(input, *, decimals=0)", kUsual,
      "Nearest integer (or multiple of 10**-decimals), halves to even. Gradient: zero.",
      [](const Tensor& x, int64_t decimals) {
        if (decimals == 0) return round(x);
        const Scalar scale(std::pow(10.0, double(decimals < 0 ? -decimals : decimals)));
        return decimals > 0 ? round(x * scale) / scale : round(x / scale) * scale;
      });
  def("leaky_relu(input, negative_slope=0.01)", kUsual,
      "input where positive, else negative_slope * input. Gradient: both.",
      [](const Tensor& x, const Operand& slope) { return leaky_relu(x, slope); });
  def("softplus(input, beta=1, threshold=20)", kUsual,
      "log(1 + exp(beta * input)) / beta; input itself where beta * input exceeds threshold.",
      [](const Tensor& x, Scalar beta, Scalar threshold) { return softplus(x, beta, threshold); });
  def("gelu(input, approximate='none')", kFunction,
      "input * Phi(input), Phi the normal distribution function; approximate='tanh' uses the tanh formula.\n\nSource: "
      "Hendrycks, Gimpel 2016, arXiv:1606.08415.",
      gelu);
  def("lerp(input, end, weight)", kUsual, "input + weight * (end - input). Gradient: all three.",
      [](const Tensor& x, const Tensor& y, const Operand& w) { return lerp(x, y, w); });
  def("addcmul(input, tensor1, tensor2, *, value=1)", kUsual,
      "input + value * tensor1 * tensor2. Gradient: all three tensors.",
      [](const Tensor& x, const Operand& y, const Operand& z, Scalar value) {
        return value.real() == 1 ? addcmul(x, y, z) : addcmul(x, mul(y, value), z);
      });
  def("addcdiv(input, tensor1, tensor2, *, value=1)", kUsual,
      "input + value * tensor1 / tensor2. Gradient: all three tensors.",
      [](const Tensor& x, const Operand& y, const Operand& z, Scalar value) {
        return value.real() == 1 ? addcdiv(x, y, z) : addcdiv(x, mul(y, value), z);
      });
  def("where(condition, input=None, other=None)", kFunction | kOut,
      "input where condition is true, else other; with the condition alone, the indices of its true elements, one "
      "tensor a dimension.",
      [](const Tensor& condition, PyObject* x, PyObject* y) -> PyObject* {
        if (x == Py_None && y == Py_None) return to_python(unbind(nonzero(condition), 1));
        require<NotImplementedError>(condition.dtype() == Dtype::bool_ || condition.dtype() == Dtype::uint8,
                                     "where expected condition to be a boolean tensor, but got a tensor with dtype ",
                                     condition.dtype());
        Operand a(0), b(0);
        require<TypeError>(to_operand(x, a) && to_operand(y, b), "where(): input and other must be Tensors or Numbers");
        return wrap_tensor(where(condition, a, b));
      });
  def("where(input, condition, other)", kMethod, "input where condition is true, else other.",
      [](const Tensor& x, const Tensor& condition, const Operand& other) { return where(condition, x, other); });
  def("result_type(tensor1, tensor2)", kFunction, "The dtype the two operands promote to.",
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
