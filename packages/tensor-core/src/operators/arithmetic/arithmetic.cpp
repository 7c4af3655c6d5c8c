// Arithmetic operators that call pointwise operators.
#include "flambeau/pointwise/arithmetic.h"
#include "flambeau/operator.h"
#include "flambeau/pointwise/activations.h"

namespace flambeau {

namespace {

void require_dtype_of(const Tensor& input, const Tensor& other, const char* argument) {
  require(other.dtype() == input.dtype(), "expected dtype ", input.dtype(), " for `", argument, "` but got dtype ",
          other.dtype());
}
void check_lerp(const Tensor& input, const Tensor& end, const Operand& weight) {
  require_dtype_of(input, end, "end");
  if (weight.tensor && weight.tensor->dim() > 0) require_dtype_of(input, *weight.tensor, "weight");
}

}  // namespace

const Operator lerp_operator({.signature = "lerp(input, end, weight)",
                              .forms = kFunction | kMethod | kInPlace | kOut,
                              .doc = "Compute input + weight * (end - input). Gradient: all three operands.",
                              .forward =
                                  [](const Tensor& x, const Tensor& y, const Operand& w) {
                                    check_lerp(x, y, w);
                                    return lerp(x, y, w);
                                  },
                              .in_place =
                                  [](const Tensor& x, const Tensor& y, const Operand& w) {
                                    check_lerp(x, y, w);
                                    const Operand operands[] = {x, y, w};
                                    return pointwise_(op::lerp, operands);
                                  },
                              .reference = "input + weight * (end - input)",
                              .samples = "f(3), f(3), 0.25; f(3), f(3), f(3)"});

const Operator bitwise_not_operator(
    {.signature = "bitwise_not(input)",
     .forms = kFunction | kMethod | kInPlace | kOut,
     .doc = "Invert the bits of integers, and negate booleans.",
     .forward = [](const Tensor& x) { return x.dtype() == Dtype::bool_ ? logical_not(x) : bitwise_not(x); },
     .reference = "~input",
     .samples = "i(3); b(3)"});

const Operator pow_operator(
    {.signature = "pow(input, exponent)",
     .forms = kFunction | kMethod | kInPlace | kOut,
     .doc = "Compute input**exponent. Gradient: both operands, any order; 0 for the exponent where the base is 0.",
     .forward =
         [](const Operand& x, const Operand& y) {
           require<TypeError>(x.tensor || y.tensor, "pow(): one of input and exponent must be a Tensor");
           return power(x, y);
         },
     .reference = "np.power(input, exponent)",
     .samples = "p(3), f(3); f(3), 2; p(3), 0.5; i(3), 3; 2.0, f(3)"});

const Operator softshrink_operator(
    {.signature = "softshrink(input, lambd=0.5)",
     .forms = kFunction | kMethod | kInPlace | kOut,
     .doc = "Move the elements by lambd towards 0, and set elements in [-lambd, lambd] to 0. Gradient: input.",
     .forward =
         [](const Tensor& x, double lambd) {
           require(lambd >= 0, "lambda must be greater or equal to 0, but found to be ", lambd, ".");
           return softshrink(x, lambd);
         },
     .reference = "np.sign(input) * np.maximum(np.abs(input) - lambd, 0)",
     .samples = "f(2, 3); f(2, 3), 0.25"});

const Operator celu_operator({.signature = "celu(input, alpha=1.0)",
                              .forms = kFunction | kMethod | kInPlace | kOut,
                              .doc =
                                  R"(Compute input where it is positive, and alpha * (exp(input / alpha) - 1) elsewhere.

Gradient: input, any order. Source: Barron 2017, arXiv:1704.07483.)",
                              .forward =
                                  [](const Tensor& x, double alpha) {
                                    require(alpha != 0, "ZeroDivisionError: alpha cannot be 0 for CELU");
                                    return celu(x, alpha);
                                  },
                              .reference = "np.where(input > 0, input, alpha * np.expm1(input / alpha))",
                              .samples = "f(2, 3); f(2, 3), 0.5"});

}  // namespace flambeau
