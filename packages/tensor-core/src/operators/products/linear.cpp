// linear() and its derivative.
#include "cuda/operators.h"
#include "flambeau/operator.h"
#include "flambeau/operators.h"
#include "operators/products/products.h"
#include "operators/saved_factors.h"

namespace flambeau {

namespace {

void check_linear(const Tensor& input, const Tensor& weight, const Tensor& bias, int64_t rows) {
  require(input.dim() > 0, "linear: the input needs at least one dimension");
  require(weight.dim() == 2, "linear: the weight needs two dimensions, got shape ", weight.shape());
  const int64_t in = weight.size(1), out_features = weight.size(0);
  require(input.size(-1) == in, "mat1 and mat2 shapes cannot be multiplied (", rows, "x", input.size(-1), " and ", in,
          "x", out_features, "): the input of shape ", input.shape(), " has ", input.size(-1),
          " features, the weight expects ", in);
  require_same_dtype(input, weight, "linear");
  if (bias.defined()) require_same_dtype(input, bias, "linear (bias)");
  require<NotImplementedError>(input.dtype() != Dtype::bool_, "\"linear\" not implemented for '", input.dtype(), "'");
}

int64_t rows_of(const Tensor& t) { return product(Shape(t.shape().begin(), t.shape().end() - 1)); }

// Treats the input as one matrix, which has a row for each position before the features.
void linear_derivative(const Context& c) {
  const Tensor& g = c.gradient();
  const Tensor flat = g.dim() == 2 ? g : reshape(g, {rows_of(g), g.size(-1)});
  if (c.needs(0)) {
    const Tensor w = conj(c.saved(1));
    Shape shape = g.shape();
    shape.back() = w.size(1);
    c.set(0, g.dim() == 2 ? mm(flat, w) : reshape(mm(flat, w), shape));
  }
  if (c.needs(1)) {
    const Tensor x = conj(c.saved(0));
    c.set(1, mm(transpose(flat, 0, 1), x.dim() == 2 ? x : reshape(x, {flat.size(0), x.size(-1)})));
  }
  if (c.needs(2)) c.set(2, sum(flat, Shape{0}, false, std::nullopt));
}

// Computes out = x @ weight.T + bias, where `out` is float32 for half precision.
void multiply_features(const Tensor& out, const Tensor& input, const Tensor& given_weight, const Tensor& bias) {
  const int64_t in = given_weight.size(1), columns = given_weight.size(0), rows = out.numel() / columns;
  const Dtype type = out.dtype();
  const bool unconverted = multiplies_bfloat16(input.dtype(), rows, columns, in);
  const Tensor x = contiguous(unconverted ? input : to(input, type)),
               weight = unconverted ? given_weight : to(given_weight, type);
  const kernels::Matrix left{x.bytes(), in, 1}, right{weight.bytes(), weight.stride(1), weight.stride(0)};
  if (unconverted) {
    if (bias.defined()) copy_values(out, bias);
    return gemm_bfloat16(rows, columns, in, left, right, out.data<float>(), columns, bias.defined());
  }
  if (type == Dtype::float32 || type == Dtype::float64) {
    kernels::ProductFinish finish;
    if (bias.defined()) finish.column_bias = bias.bytes();
    return gemm(rows, columns, in, {left}, {right}, out.bytes(), columns, type, finish);
  }
  if (bias.defined()) copy_values(out, bias);
  gemm(rows, columns, in, 1, left, right, bias.defined() ? 1 : 0, out.bytes(), columns, type);
}

// Adds a bias with another shape than (out), which must be broadcastable to the shape of the product.
Tensor add_any_bias(const Tensor& input, const Tensor& weight, const Tensor& bias) {
  const Tensor product = linear(input, weight, {});
  const bool is_row = product.dim() == 1 && bias.dim() == 2 && bias.size(0) == 1;
  const Tensor b = is_row ? select(bias, 0, 0) : bias;
  bool fits = b.dim() <= product.dim();
  for (int64_t d = 1; fits && d <= b.dim(); ++d) fits = b.size(-d) == 1 || b.size(-d) == product.size(-d);
  require(fits, "linear: the bias of shape ", bias.shape(), " cannot be broadcast to the result's shape ",
          product.shape());
  return product + b;
}

}  // namespace

Tensor linear(const Tensor& input, const Tensor& weight, const Tensor& bias) {
  const int64_t rows = input.dim() > 0 ? rows_of(input) : 1;
  check_linear(input, weight, bias, rows);
  const int64_t in = weight.size(1), out_features = weight.size(0);
  if (bias.defined() && (bias.dim() != 1 || bias.size(0) != out_features)) return add_any_bias(input, weight, bias);
  const Dtype type = product_type(input.dtype());
  Shape shape = input.shape();
  shape.back() = out_features;
  Tensor out;
  if (cuda::runs_on_gpu(input)) {
    NoRecording off;
    out = empty({rows, out_features}, input.dtype());
    cuda::multiply(out, reshape(input, {rows, in}), transpose(weight, 0, 1), bias);
    out = reshape(out, shape);
  } else {
    out = empty(shape, type);
    NoRecording off;
    const Tensor b = bias.defined() ? contiguous(to(bias, type)) : bias;
    if (out.numel() > 0 && !out.is_meta()) multiply_features(out, input, weight, b);
    out = to(out, input.dtype());
  }
  if (recording(input, weight, bias))
    record("Linear", out, {&input, &weight, &bias}, {&saved_factor(input, weight), &saved_factor(weight, input)},
           linear_derivative);
  return out;
}

const Operator linear_operator({.signature = "linear(input, weight, bias=None)",
                                .forms = kFunction | kOut | kExactOut | kLowerPrecision,
                                .doc = "Compute input @ weight.T + bias. Shapes: (*, in), (out, in), (out) and (*, "
                                       "out). Gradient: input, weight and bias.",
                                .forward = linear,
                                .reference = "input @ weight.T + (0 if bias is None else bias)",
                                .samples = "f(2, 3), f(4, 3), f(4); f(3), f(4, 3)"});

}  // namespace flambeau
