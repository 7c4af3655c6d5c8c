// The pointwise operators as data (rows of a table), with their derivatives as tensor expressions. Note [Pointwise
// table]
#include <array>

#include "core/node_name.h"
#include "flambeau/kernels/pointwise_trace.h"
#include "flambeau/operators.h"
#include "flambeau/pointwise/activations.h"
#include "flambeau/pointwise/arithmetic.h"
#include "flambeau/pointwise/exponential.h"
#include "flambeau/pointwise/logic.h"
#include "flambeau/pointwise/losses.h"
#include "flambeau/pointwise/selection.h"
#include "flambeau/pointwise/special.h"
#include "flambeau/pointwise/special_scalar.h"
#include "flambeau/pointwise/trigonometric.h"

namespace flambeau {

namespace expressions {  // functions and constants for the derivative expressions of operators, for V = Tensor

template <class V>
Tensor c(double v) {
  return wrapped_number(Scalar(v));
}
struct NoDerivative {
  operator Tensor() const { return Tensor(); }
} none;
struct ZeroDerivative {
  operator Tensor() const { return wrapped_number(Scalar(0.0)); }
} zero;

Tensor gelu_inner(const Tensor& x) {
  return c<Tensor>(1.5957691216057308) * x * (c<Tensor>(1) + c<Tensor>(0.044715) * x * x);
}

Tensor lgamma_slope(const Tensor& x) { return digamma(x); }
Tensor log_of_gamma(const Tensor& x) { return lgamma(x); }
Tensor mish_gate(const Tensor& x) { return tanh(softplus(x, 1, 20)); }
Tensor real_part(const Tensor& x) { return is_complex(x.dtype()) ? real(x) : x; }
Tensor angle_slope(const Tensor& x) {
  if (!is_complex(x.dtype())) return zero;
  const Tensor nowhere = eq(x, 0);
  return where(nowhere, 0, div(Scalar(Complex<double>(0, 1)), conj(where(nowhere, 1, x))));
}

using V = Tensor;

#define UNARY(name, domain, accuracy, doc, reference, value, dx)                                 \
  Tensor name##_d0([[maybe_unused]] const Tensor& grad, [[maybe_unused]] const Tensor* operands, \
                   [[maybe_unused]] const Tensor& result) {                                      \
    [[maybe_unused]] const Tensor& x = operands[0];                                              \
    return dx;                                                                                   \
  }
#define FLAMBEAU_DERIVATIVE(name, index, expression)                                    \
  Tensor name##_d##index([[maybe_unused]] const Tensor& grad, const Tensor* operands,   \
                         [[maybe_unused]] const Tensor& result) {                       \
    [[maybe_unused]] const Tensor &x = operands[0], &y = operands[1], &z = operands[2]; \
    return expression;                                                                  \
  }
#define BINARY(name, domain, accuracy, doc, reference, value, dx, dy) \
  FLAMBEAU_DERIVATIVE(name, 0, dx)                                    \
  FLAMBEAU_DERIVATIVE(name, 1, dy)
#define TERNARY(name, domain, accuracy, doc, reference, value, dx, dy, dz) \
  FLAMBEAU_DERIVATIVE(name, 0, dx)                                         \
  FLAMBEAU_DERIVATIVE(name, 1, dy)                                         \
  FLAMBEAU_DERIVATIVE(name, 2, dz)
#include "flambeau/pointwise.def"

}  // namespace expressions

namespace {

struct Signature {
  PointwiseOp op;
  const char* text;
  bool parameters;
};
constexpr Signature kSignatures[] = {
#define SIGNATURE(name, text) {op::name, text, false},
#define PARAMETERS(name, text) {op::name, text, true},
#include "flambeau/pointwise.def"
};
constexpr Signature signature_of(PointwiseOp op, int arity) {
  constexpr const char* usual[] = {"input", "input, other", "input, tensor1, tensor2"};
  for (const Signature& s : kSignatures)
    if (s.op == op) return s;
  return {op, usual[arity - 1], false};
}

}  // namespace

using namespace accuracy;

#define FLAMBEAU_TEXT(...) #__VA_ARGS__
#define FLAMBEAU_ROW(name, domain, arity, differentiable, bound, doc, reference, value)   \
  op::name, FLAMBEAU_TEXT(name), node_name(#name), Domain::domain, arity, differentiable, \
      signature_of(op::name, arity).parameters, signature_of(op::name, arity).text, bound, doc, reference, #value
#define FLAMBEAU_EXISTS(name, i) exists<pointwise_trace::name##_row, i>()
#define FLAMBEAU_READS(name, i) reads<pointwise_trace::name##_row, i>()
#define FLAMBEAU_EXPRESSION(name, i) FLAMBEAU_EXISTS(name, i) ? expressions::name##_d##i : nullptr
#define UNARY(name, domain, bound, doc, reference, value, dx)                             \
  {FLAMBEAU_ROW(name, domain, 1, FLAMBEAU_EXISTS(name, 0), bound, doc, reference, value), \
   {#dx},                                                                                 \
   {FLAMBEAU_READS(name, 0)},                                                             \
   {FLAMBEAU_EXPRESSION(name, 0)}},
#define BINARY(name, domain, bound, doc, reference, value, dx, dy)                                                    \
  {FLAMBEAU_ROW(name, domain, 2, FLAMBEAU_EXISTS(name, 0) || FLAMBEAU_EXISTS(name, 1), bound, doc, reference, value), \
   {#dx, #dy},                                                                                                        \
   {FLAMBEAU_READS(name, 0), FLAMBEAU_READS(name, 1)},                                                                \
   {FLAMBEAU_EXPRESSION(name, 0), FLAMBEAU_EXPRESSION(name, 1)}},
#define TERNARY(name, domain, bound, doc, reference, value, dx, dy, dz)                                            \
  {FLAMBEAU_ROW(name, domain, 3, FLAMBEAU_EXISTS(name, 0) || FLAMBEAU_EXISTS(name, 1) || FLAMBEAU_EXISTS(name, 2), \
                bound, doc, reference, value),                                                                     \
   {#dx, #dy, #dz},                                                                                                \
   {FLAMBEAU_READS(name, 0), FLAMBEAU_READS(name, 1), FLAMBEAU_READS(name, 2)},                                    \
   {FLAMBEAU_EXPRESSION(name, 0), FLAMBEAU_EXPRESSION(name, 1), FLAMBEAU_EXPRESSION(name, 2)}},
namespace {
const PointwiseRow kRows[] = {
#include "flambeau/pointwise.def"
};

#define ALIAS(alias, name) {#alias, #name},
constexpr PointwiseAlias kAliases[] = {
#include "flambeau/pointwise.def"
};
}  // namespace

constinit const std::array<const PointwiseRow*, kPointwiseSlots> rows_by_number = [] {
  std::array<const PointwiseRow*, kPointwiseSlots> rows{};
  const PointwiseRow* next = kRows;
#define UNARY(name, ...) rows[size_t(op::name)] = next++;
#define BINARY(name, ...) rows[size_t(op::name)] = next++;
#define TERNARY(name, ...) rows[size_t(op::name)] = next++;
#include "flambeau/pointwise.def"
  return rows;
}();

std::span<const PointwiseRow> pointwise_rows() { return kRows; }
std::span<const PointwiseAlias> pointwise_aliases() { return kAliases; }

#define UNARY(name, ...) \
  Tensor name(const Tensor& x) { return pointwise(op::name, std::initializer_list<Operand>{x}.begin()); }
#define BINARY(name, ...)                                                     \
  Tensor name(const Operand& x, const Operand& y) {                           \
    return pointwise(op::name, std::initializer_list<Operand>{x, y}.begin()); \
  }
#define TERNARY(name, ...)                                                       \
  Tensor name(const Operand& x, const Operand& y, const Operand& z) {            \
    return pointwise(op::name, std::initializer_list<Operand>{x, y, z}.begin()); \
  }
#include "flambeau/pointwise.def"

}  // namespace flambeau
