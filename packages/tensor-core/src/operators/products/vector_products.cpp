// Products with vectors.
#include "flambeau/operator.h"
#include "flambeau/operators/products.h"

#include <algorithm>
#include <bit>

#include "cuda/operators.h"
#include "flambeau/interpreter.h"
#include "kernels/table.h"
#include "operators/products/products.h"
#include "operators/saved_factors.h"

namespace flambeau {

namespace {

// Returns the inner product of integers, modulo 2**n for integers of n bits.
Tensor integer_dot(const Tensor& a, const Tensor& b) {
  constexpr int64_t kChunk = 1 << 20;
  const Tensor x = contiguous(a), y = contiguous(b), out = zeros({}, a.dtype());
  const int64_t n = x.numel(), size = item_size(x.dtype());
  const auto kernel = kernels::table().integer_dot[std::countr_zero(uint64_t(size))];
  const GilRelease release(n > kGilGrain);
  for (int64_t i = 0; i < n; i += kChunk) {
    poll_signals();
    kernel(x.bytes() + i * size, y.bytes() + i * size, std::min(kChunk, n - i), out.bytes());
  }
  return out;
}

}  // namespace

Tensor dot(const Tensor& a, const Tensor& b) {
  require(a.dim() == 1 && b.dim() == 1, "1D tensors expected, but got ", a.dim(), "D and ", b.dim(), "D tensors");
  require(a.numel() == b.numel(), "inconsistent tensor size, expected tensor [", a.numel(), "] and src [", b.numel(),
          "] to have the same number of elements");
  require(a.dtype() == b.dtype(), "dot : expected both vectors to have same dtype, but found ", a.dtype(), " and ",
          b.dtype());
  if (category(a.dtype()) == Category::Integer && !cuda::runs_on_gpu(a) && !a.is_meta()) return integer_dot(a, b);
  const Dtype type = product_type(a.dtype());
  Tensor out = empty({}, type);
  {
    NoRecording off;
    // On a GPU, the kernel converts the elements when it reads them.
    const Dtype in = cuda::runs_on_gpu(a) && is_floating(a.dtype()) ? a.dtype() : type;
    const Tensor x = to(a, in), y = to(b, in);
    if (cuda::runs_on_gpu(a))
      cuda::dot(out, contiguous(x), contiguous(y));
    else if (!out.is_meta())
      gemm(1, 1, a.numel(), 1, {x.bytes(), 0, x.strides()[0]}, {y.bytes(), y.strides()[0], 0}, 0, out.bytes(), 1, type);
    out = to(out, a.dtype());
  }
  if (recording(a, b))
    record("Dot", out, {&a, &b}, {&saved_factor(a, b), &saved_factor(b, a)}, [](const Context& c) {
      if (c.needs(0)) c.set(0, c.gradient() * conj(c.saved(1)));
      if (c.needs(1)) c.set(1, c.gradient() * conj(c.saved(0)));
    });
  return out;
}

const Operator dot_operator({.signature = "dot(input, tensor)",
                             .forms = kFunction | kMethod | kOut | kExactOut,
                             .doc = "Compute the inner product of two vectors.",
                             .forward = dot,
                             .reference = "input @ tensor",
                             .samples = "f(3), f(3); i(4), i(4); f(0), f(0)"});

Tensor mv(const Tensor& matrix, const Tensor& vector) {
  require(matrix.dim() == 2 && vector.dim() == 1, "vector + matrix @ vector expected, got ", matrix.dim(), ", ",
          vector.dim());
  require(matrix.shape()[1] == vector.numel(), "size mismatch, got input (", matrix.shape()[0], "), mat (",
          matrix.shape()[0], "x", matrix.shape()[1], "), vec (", vector.numel(),
          "): mat1 and mat2 shapes cannot be multiplied");
  require_same_dtype(matrix, vector, "mv");
  const Dtype type = product_type(matrix.dtype());
  const int64_t rows = matrix.shape()[0];
  Tensor out;
  if (cuda::runs_on_gpu(matrix)) {
    NoRecording off;
    out = empty({rows}, matrix.dtype());
    cuda::multiply(unsqueeze(out, 1), matrix, unsqueeze(vector, 1));
  } else {
    out = empty({rows}, type);
    NoRecording off;
    const int64_t terms = vector.numel();
    const bool has_values = rows > 0 && !out.is_meta();
    if (has_values && multiplies_bfloat16(matrix.dtype(), 1, rows, terms)) {  // vector @ matrix.T
      gemm_bfloat16(1, rows, terms, {vector.bytes(), 0, vector.strides()[0]},
                    {matrix.bytes(), matrix.strides()[1], matrix.strides()[0]}, out.data<float>(), rows, false);
    } else if (has_values) {
      const Tensor a = to(matrix, type), x = to(vector, type);
      gemm(rows, 1, terms, 1, {a.bytes(), a.strides()[0], a.strides()[1]}, {x.bytes(), x.strides()[0], 1}, 0,
           out.bytes(), 1, type);
    }
    out = to(out, matrix.dtype());
  }
  if (recording(matrix, vector))
    record("Mv", out, {&matrix, &vector}, {&saved_factor(matrix, vector), &saved_factor(vector, matrix)},
           [](const Context& c) {
             if (c.needs(0)) c.set(0, unsqueeze(c.gradient(), 1) * conj(c.saved(1)));
             if (c.needs(1)) c.set(1, mv(conj(transpose(c.saved(0), 0, 1)), c.gradient()));
           });
  return out;
}

const Operator mv_operator({.signature = "mv(input, vec)",
                            .forms = kFunction | kMethod | kOut | kExactOut,
                            .doc = "Compute the product of a matrix and a vector.",
                            .forward = mv,
                            .reference = "input @ vec",
                            .samples = "f(2, 3), f(3); i(2, 3), i(3)"});

const Operator vdot_operator({.signature = "vdot(input, other)",
                              .forms = kFunction | kMethod | kOut | kExactOut,
                              .doc = "Compute sum(conj(input) * other), the inner product of two vectors with the "
                                     "first one conjugated. Gradient: both operands.",
                              .forward = [](const Tensor& x, const Tensor& y) { return dot(conj(x), y); },
                              .reference = "np.vdot(input, other)",
                              .samples = "f(3), f(3); f(0), f(0)"});

}  // namespace flambeau
