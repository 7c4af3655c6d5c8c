#include "operators/pointwise/pointwise_derivative.h"

#include "cuda/operators.h"
#include "flambeau/operators.h"
#include "kernels/table.h"
#include "operators/pointwise/elementwise_result.h"

namespace flambeau {

namespace {

// Returns the name of parameter i. The signature may annotate it: "input: Tensor | Number, n".
std::string parameter_name(const PointwiseRow& row, int i) {
  std::string_view rest = row.signature;
  for (; i > 0; --i) rest.remove_prefix(rest.find(", ") + 2);
  return std::string(rest.substr(0, rest.find_first_of(",:=")));
}

// Appends the values that the derivative for operand i reads to `read`, whose first element is the gradient of the
// result. Returns the number of elements of `read`.
int operands_read(const PointwiseRow& row, int i, const Operand* values, Operand* read) {
  int count = 1;
  for (int k = 0; k <= row.arity; ++k)
    if (row.reads[i] >> k & 1) read[count++] = values[k];
  return count;
}

// The derivative of a pointwise operator. It runs fused kernels or, if it is differentiated again, tensor expressions.
//
// Note [Complex derivatives]
// The gradient of a real loss L for a complex z = x + iy is dL/dx + i dL/dy. For a holomorphic function with the
// derivative f', the gradient is grad * conj(f'). Hence the derivative expression E of an operator, which is written
// for real numbers, becomes conj(E(conj(grad), ...)) for complex ones. If the result of an operator is real, such as
// that of abs, the expression is used unchanged, since its gradient is real. If an operand is real and the result
// complex, the engine keeps the real part.
struct PointwiseDerivative {
  PointwiseOp op;
  uint8_t saved_mask;
  Scalar scalars[kMaxOperands];
  bool is_scalar[kMaxOperands];

  void operator()(const Context& context) const {
    const PointwiseRow& row = row_of(op);
    const int arity = row.arity;
    Operand values[kMaxOperands + 1] = {0, 0, 0, 0};
    for (int i = 0, next = 0; i <= arity; ++i) {
      if (i < arity && is_scalar[i])
        values[i].scalar = scalars[i];
      else if (saved_mask >> i & 1)
        values[i].tensor = &context.saved(next++);
    }
    for (int i = 0; i < arity; ++i) {
      if (!context.needs(i)) continue;
      require<NotImplementedError>(row.expression[i], row.name, "(): the derivative for '", parameter_name(row, i),
                                   "' is not implemented");
      const Dtype in = type(row, context.gradient(), values);
      // An expression that reads only a real gradient returns the gradient itself without a copy, or is one operator.
      const bool fuses = row.reads[i] || is_complex(in);
      if (fuses && !recording_enabled() && kernels::derivative_of(op, i, in))
        context.set(i, fused(row, i, in, context.gradient(), values));
      else
        context.set(i, expression(row, i, context.gradient(), values));
    }
  }

  Dtype type(const PointwiseRow& row, const Tensor& grad, const Operand* values) const {
    if (FLAMBEAU_UNLIKELY(kernels::table().returns_real[int(op)]))
      for (int k = 0; k <= row.arity; ++k)
        if (values[k].tensor && is_complex(values[k].tensor->dtype())) return to_complex(grad.dtype());
    return grad.dtype();
  }

  Tensor expression(const PointwiseRow& row, int i, const Tensor& grad, const Operand* values) const {
    Tensor tensors[kMaxOperands + 1];
    for (int k = 0; k <= row.arity; ++k)
      tensors[k] = values[k].tensor ? *values[k].tensor
                                    : (k < row.arity && is_scalar[k] ? wrapped_number(values[k].scalar) : Tensor());
    return derivative_expression(row, i, grad, tensors);
  }

  Tensor fused(const PointwiseRow& row, int i, Dtype type, const Tensor& grad, const Operand* values) const {
    Operand read[kMaxOperands + 2] = {grad, 0, 0, 0, 0};
    Tensor out = new_result(read, operands_read(row, i, values, read), type);
    run_derivative(op, i, type, grad, values, out);
    return out;
  }
};

}  // namespace

void run_derivative(PointwiseOp op, int i, Dtype type, const Tensor& grad, const Operand* values, const Tensor& out) {
  const PointwiseRow& row = row_of(op);
  Operand read[kMaxOperands + 2] = {grad, 0, 0, 0, 0};
  const int count = operands_read(row, i, values, read);
  const Dtype in = dtype_of(compute_type(type));
  if (cuda::runs_on_gpu(out))
    cuda::pointwise(row, i, out, read, count, in);
  else
    run_kernel(kernels::derivative_of(op, i, type), out, in, read, count, in);
}

// Returns whether an operand is a tensor of real numbers, which the operator converts if its result is complex.
static bool promotes(const Tensor& operand) {
  return operand.defined() && !is_complex(operand.dtype()) && operand.dtype() != Dtype::bool_;
}

Tensor derivative_expression(const PointwiseRow& row, int i, const Tensor& grad, const Tensor* values) {
  const bool has_complex_grad = is_complex(grad.dtype());
  Tensor promoted[kMaxOperands + 1];
  if (has_complex_grad) {  // log(x) in the derivative of x ** y needs a complex x if x is negative
    for (int k = 0; k <= row.arity; ++k) promoted[k] = promotes(values[k]) ? to(values[k], grad.dtype()) : values[k];
    values = promoted;
  }
  Tensor out = row.expression[i](has_complex_grad ? conj(grad) : grad, values, values[row.arity]);
  if (has_complex_grad) out = conj(out);
  // The expression may be a number, such as 0, which is expanded to the shape of the gradient.
  return out.impl()->wrapped_number ? full(grad.shape(), item(out), grad.dtype()) : out;
}

void record_pointwise(PointwiseOp op, const Operand* operands, const Operand* read, const Tensor& result,
                      Recording::Kind kind) {
  const PointwiseRow& row = row_of(op);
  const int arity = row.arity;
  static const Tensor undefined;
  const Tensor *inputs[kMaxOperands], *saved[kMaxOperands + 1];
  PointwiseDerivative derivative{op, 0, {}, {}};
  for (int i = 0; i < arity; ++i) {
    const Tensor* t = operands[i].tensor;
    const bool needs = t && t->tracked();
    inputs[i] = needs ? t : &undefined;
    if (needs) derivative.saved_mask |= row.reads[i];
    derivative.is_scalar[i] = !t;
    if (!t) derivative.scalars[i] = operands[i].scalar;
  }
  int count = 0;
  for (int i = 0; i < arity; ++i) {
    if (!operands[i].tensor) derivative.saved_mask &= uint8_t(~(1 << i));
    if (derivative.saved_mask >> i & 1) saved[count++] = read[i].tensor;
  }
  if (derivative.saved_mask >> arity & 1) saved[count++] = &result;
  const Tensor* outputs[] = {&result};
  Recording recording{row.node_name, kind, outputs, 1, inputs, arity, saved, count, std::move(derivative)};
  recording.elementwise = true;
  autograd_hooks->record(recording);
}

void keep_originals(const PointwiseRow& row, const Operand* operands, const Tensor& self, Tensor* copies,
                    Operand* read) {
  uint8_t needed = 0;
  for (int i = 0; i < row.arity; ++i)
    if (operands[i].tensor && operands[i].tensor->tracked()) needed |= row.reads[i];
  for (int i = 0; i < row.arity; ++i) {
    read[i] = operands[i];
    const Tensor* t = operands[i].tensor;
    if (!t || !(needed >> i & 1) || t->impl()->storage.get() != self.impl()->storage.get()) continue;
    copies[i] = clone(*t);
    read[i].tensor = &copies[i];
  }
}

}  // namespace flambeau
