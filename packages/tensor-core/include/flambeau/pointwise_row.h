// Pointwise operators as data, and their operands. Note [Pointwise table] in pointwise.def explains the rows of the
// operator table.
#pragma once

#include "flambeau/kernels/compute.h"
#include "flambeau/pointwise_domain.h"
#include "flambeau/tensor.h"

namespace flambeau {

// The largest error in units in the last place of the result, or of `scale` (an expression of the operands) if `scale`
// is larger.
struct Accuracy {
  double float32, float64;
  const char* scale;
};
namespace accuracy {  // functions and constants for the accuracy in a row
constexpr Accuracy ulp(double float32, double float64, const char* scale = "") { return {float32, float64, scale}; }
constexpr Accuracy ulp(double both) { return {both, both, ""}; }
inline constexpr Accuracy exact = ulp(0), rounded = ulp(0.5);
}  // namespace accuracy

struct PointwiseRow {
  PointwiseOp op;
  const char* name;
  const char* node_name;  // CamelCase, for grad_fn
  Domain domain;
  uint8_t arity;
  bool differentiable;
  bool has_parameters;    // the operands after the first are numbers that do not take part in promotion
  const char* signature;  // the names of the parameters, with their defaults
  Accuracy accuracy;
  const char* doc;
  const char* reference;
  const char* value;
  const char* derivatives[kMaxOperands];  // the text of the expressions in the row
  // The tensors that each operand's derivative reads besides grad: bit i is operand i, bit `arity` is the result.
  uint8_t reads[kMaxOperands];
  // The derivative as differentiable tensor expressions, or null for an operand without a derivative.
  Tensor (*expression[kMaxOperands])(const Tensor& grad, const Tensor* operands, const Tensor& result);
};

// A tensor or a number. A number promotes like a Python number and is never converted to a tensor.
struct Operand {
  Operand(const Tensor& t) : tensor(&t) {}
  Operand(Scalar s) : scalar(s) {}
  Operand(double v) : scalar(v) {}
  Operand(int v) : scalar(v) {}
  const Tensor* tensor = nullptr;
  Scalar scalar;
};

}  // namespace flambeau
