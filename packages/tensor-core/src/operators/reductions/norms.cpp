// Norms and log-sum-exp, with their derivatives.
#include <cmath>
#include <limits>
#include "flambeau/operator.h"

#include "cuda/operators.h"
#include "operators/reductions/reduction.h"

namespace flambeau {

namespace {

using kernels::Reduce;

// Computes a norm without recording, in one pass if a kernel supports the power.
Tensor norm_value(const Tensor& x, double p, const OptionalDims& dim, bool keepdim) {
  NoRecording off;
  const Dtype type = to_real(x.dtype());
  if (p == 2) return to(sqrt(reduce(Reduce::_square_sum, x, dim, keepdim)), type);
  if (p == 1) return to(reduce(Reduce::_abs_sum, x, dim, keepdim), type);
  if (p == 0) return to(reduce(Reduce::count_nonzero, x, dim, keepdim), type);
  if (std::isinf(p)) return to(reduce(p > 0 ? Reduce::_abs_max : Reduce::_abs_min, x, dim, keepdim), type);
  if (reduced_count(x, dim) == 1 && x.numel() > 0) return reshape(abs(x), reduced_shape(x, dim, keepdim));
  const Tensor converted = to(x, dtype_of(compute_type(x.dtype())));
  return to(power(sum(power(abs(converted), Scalar(p)), dim, keepdim, {}), Scalar(1 / p)), type);
}

}  // namespace

Tensor vector_norm(const Tensor& t, double p, const OptionalDims& dim, bool keepdim) {
  const Tensor x = category(t.dtype()) > Category::Integer ? t : to(t, default_dtype());
  if (std::isinf(p) || p < 0) {
    const uint64_t mask = dim_mask(x, dim);
    for (int i = 0; i < x.dim(); ++i)
      require(x.shape()[i] > 0 || !(mask >> i & 1), "norm(): cannot compute the ", p,
              " norm on an empty tensor because the operation does not have an identity, got shape ", x.shape());
  }
  if (!recording(x)) return norm_value(x, p, dim, keepdim);
  if (std::isinf(p)) {
    const OptionalDims dims = dim.value_or(Shape{});
    return p > 0 ? amax(abs(x), dims, keepdim) : amin(abs(x), dims, keepdim);
  }
  if (p == 1) return sum(abs(x), dim, keepdim, {});
  const Tensor out = norm_value(x, p, dim, keepdim);
  // The gradient is grad * sgn(x) * (|x| / result)**(p - 1), and 0 where x or the result is 0.
  record("Norm", out, {&x}, {&x, &out}, [kept = kept_shape(x, dim), p](const Context& c) {
    const Tensor& x = c.saved(0);
    if (p == 0) return c.set(0, zeros(x.shape(), x.dtype()));
    const Tensor norm = reshape(c.saved(1), kept), g = reshape(c.gradient(), kept);
    const Tensor share = x / where(eq(norm, 0), Scalar(1.0), norm);
    if (p == 2) return c.set(0, g * share);
    const Tensor size = where(eq(share, 0), Scalar(1.0), abs(share));
    c.set(0, g * sgn(x) * where(logical_or(eq(share, 0), eq(norm, 0)), Scalar(0.0), pow(size, Scalar(p - 1))));
  });
  return out;
}

namespace {

// Computes logsumexp of each row of a contiguous tensor. Long rows are divided into blocks, and the results of the
// blocks are reduced in the same way.
Tensor logsumexp_rows(const Tensor& x, int64_t length, const Shape& shape) {
  const Tensor out = empty(shape, x.dtype());
  if (out.is_meta()) return out;
  const auto kernel = kernels::table().logsumexp[x.dtype() == Dtype::float64];
  const int64_t size = item_size(x.dtype()), rows = out.numel(), block = block_length(rows, length, 1);
  if (block == length) {
    parallel_items(rows, std::max<int64_t>(1, 8192 / length), [&](int64_t begin, int64_t end) {
      kernel(out.bytes() + begin * size, x.bytes() + begin * length * size, end - begin, length);
    });
    return out;
  }
  const int64_t blocks = (length + block - 1) / block;
  const Tensor parts = empty({rows, blocks}, x.dtype());
  parallel_items(rows * blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % blocks * block;
      kernel(parts.bytes() + i * size, x.bytes() + (i / blocks * length + first) * size, 1,
             std::min(block, length - first));
    }
  });
  return logsumexp_rows(parts, blocks, shape);
}

Tensor logsumexp_value(const Tensor& x, const Shape& dim, bool keepdim) {
  NoRecording off;
  const uint64_t mask = dim_mask(x, dim);
  const int64_t length = reduced_count(x, dim);
  bool rows = is_floating(x.dtype()) && x.numel() > 0;
  for (int i = 1; i < x.dim(); ++i) rows &= !(mask >> (i - 1) & 1) || (mask >> i & 1);
  if (rows && cuda::runs_on_gpu(x)) {
    const Tensor out = cuda::logsumexp(contiguous(x), x.numel() / length, length, 1);
    resize(out, reduced_shape(x, dim, keepdim));
    return out;
  }
  const Tensor converted = to(x, dtype_of(compute_type(x.dtype())));
  if (x.numel() == 0) return to(log(sum(exp(converted), dim, keepdim, {})), x.dtype());
  if (rows) return to(logsumexp_rows(contiguous(converted), length, reduced_shape(x, dim, keepdim)), x.dtype());
  const Tensor largest = amax(is_complex(converted.dtype()) ? real(converted) : converted, dim, true);
  const Tensor centre = where(isfinite(largest), largest, Scalar(0.0));
  const Tensor shifted = converted - centre;
  const Operand operand = shifted;
  const Tensor total = log(sum(pointwise_(op::exp, &operand), dim, true, {})) + centre;
  const Tensor out = to(total, x.dtype());
  resize(out, reduced_shape(x, dim, keepdim));
  return out;
}

}  // namespace

Tensor logsumexp(const Tensor& t, const Shape& dim, bool keepdim) {
  const Tensor x = category(t.dtype()) > Category::Integer ? t : to(t, default_dtype());
  const Tensor out = logsumexp_value(x, dim, keepdim);
  if (recording(x))
    record("Logsumexp", out, {&x}, {&x, &out}, [kept = kept_shape(x, dim)](const Context& c) {
      const Tensor result = reshape(c.saved(1), kept);
      c.set(0, reshape(c.gradient(), kept) * conj(exp(c.saved(0) - where(isinf(result), Scalar(0.0), result))));
    });
  return out;
}

const Operator logsumexp_operator(
    {.signature = "logsumexp(input, dim, keepdim=False)",
     .forms = kFunction | kMethod | kOut,
     .doc = "Compute log(sum(exp(input))) over dimensions without overflow. Gradient: input, any order.",
     .forward = logsumexp,
     .reference = "scipy.special.logsumexp(input, dim, keepdims=keepdim)",
     .samples = "f(2, 3), 1; f(2, 3, 2), (0, 2), True"});

}  // namespace flambeau
