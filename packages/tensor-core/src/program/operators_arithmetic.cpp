// Composites on rows: what has a default, a mode or another order of arguments than its row.
#include <cmath>
#include <limits>

#include "flambeau/rows/arithmetic.h"
#include "flambeau/rows/exponential.h"
#include "flambeau/rows/selection.h"
#include "program/operators.h"

namespace flambeau::program {

namespace {

Tensor scaled_sum(const Operand& x, const Operand& y, Scalar alpha, bool minus) {
  if (alpha.equals(1)) return minus ? sub(x, y) : add(x, y);
  return _add_scaled(x, y, minus ? -alpha : alpha);
}

// In place where nothing but the row is asked for.
template <PointwiseOp row>
Tensor scaled_sum_(const Tensor& x, const Operand& y, Scalar alpha) {
  if (alpha.equals(1)) {
    const Operand operands[] = {x, y};
    return pointwise_(row, operands);
  }
  const Tensor result = _add_scaled(x, y, row == op::sub ? -alpha : alpha);
  begin_inplace(x, row == op::sub ? "sub" : "add", result.requires_grad());
  copy_values(x, result);
  adopt_history(x, result);
  return x;
}

Tensor divide(const Operand& x, const Operand& y, std::optional<std::string_view> mode) {
  if (!mode) return div(x, y);
  return *mode == "floor" ? floor_divide(x, y) : _trunc_divide(x, y);
}

Tensor clamp(const Tensor& t, const Value& low, const Value& high) {
  const bool below = !std::holds_alternative<None>(low), above = !std::holds_alternative<None>(high);
  require(below || above, "clamp: At least one of 'min' or 'max' must not be None");
  if (below && above) return _clip(t, As<const Operand&>::get(low), As<const Operand&>::get(high));
  return below ? clamp_min(t, As<const Operand&>::get(low)) : clamp_max(t, As<const Operand&>::get(high));
}

Tensor add_scaled(const Tensor& x, const Tensor& y, const Tensor& z, Scalar value,
                  Tensor (*row)(const Operand&, const Operand&, const Operand&)) {
  if (value.equals(1)) return row(x, y, z);
  const Operand all[] = {x, y, z};
  const Dtype dtype = result_type(all, 3);
  if (dtype != Dtype::float16 && dtype != Dtype::bfloat16)
    return row(x, mul(y, is_inexact(dtype) ? value : Scalar(value.integer())), z);
  return to(row(x, mul(to(y, Dtype::float32), value), z), dtype);
}

Tensor round_to(const Tensor& x, int64_t decimals) {
  if (decimals == 0) return round(x);
  const double scale = std::pow(10.0, std::abs(double(decimals)));
  return decimals > 0 ? _round_decimals(x, scale) : _round_tens(x, scale);
}

Values choose(const Tensor& condition, const Value& x, const Value& y) {
  if (!std::holds_alternative<None>(x))
    return {where(condition, As<const Operand&>::get(x), As<const Operand&>::get(y))};
  Values out;
  for (const Tensor& t : unbind(nonzero(condition), 1)) out.emplace_back(t);
  return out;
}

}  // namespace

Family arithmetic_operators() {
  const auto subtract = [](const Operand& x, const Operand& y, Scalar alpha) { return scaled_sum(x, y, alpha, true); };
  return {
      op("add", [](const Operand& x, const Operand& y, Scalar alpha) { return scaled_sum(x, y, alpha, false); }),
      op("add_", scaled_sum_<op::add>),
      op("sub", subtract),
      op("sub_", scaled_sum_<op::sub>),
      op("subtract", subtract),
      op("rsub", [](const Tensor& x, const Operand& y, Scalar alpha) { return scaled_sum(y, x, alpha, true); }),
      op("div", divide),
      op("divide", divide),
      op("clamp", clamp),
      op("clip", clamp),
      op("round", round_to),
      op("logit",
         [](const Tensor& x, std::optional<double> eps) { return eps ? logit(_clip(x, *eps, 1 - *eps)) : logit(x); }),
      op("addcmul",
         [](const Tensor& x, const Tensor& y, const Tensor& z, Scalar v) { return add_scaled(x, y, z, v, addcmul); }),
      op("addcdiv",
         [](const Tensor& x, const Tensor& y, const Tensor& z, Scalar v) { return add_scaled(x, y, z, v, addcdiv); }),
      op("where", choose),
      op("conj", conj),
      op("real", [](const Tensor& t) { return is_complex(t.dtype()) ? real(t) : t; }),
      op("resolve_conj", [](const Tensor& t) { return t; }),
      op("positive", [](const Tensor& t) { return t; }),
  };
}

}  // namespace flambeau::program
