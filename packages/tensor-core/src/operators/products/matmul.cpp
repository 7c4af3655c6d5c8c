// Matrix products and their derivatives.
#include "core/overlap.h"
#include "cuda/operators.h"
#include "flambeau/operator.h"
#include "flambeau/operators.h"
#include "flambeau/operators/add_product.h"
#include "flambeau/operators/products.h"
#include "operators/products/products.h"
#include "operators/saved_factors.h"

namespace flambeau {

namespace {

// Returns the matrix of the last two dimensions.
kernels::Matrix matrix_of(const Tensor& t) {
  const int d = t.dim();
  return {t.bytes(), t.strides()[d - 2], t.strides()[d - 1]};
}

// Returns the conjugate transpose of the last two dimensions: a view for real numbers, a copy for complex numbers.
Tensor adjoint(const Tensor& t) { return transpose(conj(t), -2, -1); }

Tensor product_on_gpu(const Shape& shape, const Tensor& a, const Tensor& b) {
  Tensor out = empty(shape, a.dtype());
  cuda::multiply(out, a, b);
  return out;
}

Tensor mm_values(const Tensor& a, const Tensor& b) {
  NoRecording off;
  if (cuda::runs_on_gpu(a)) return product_on_gpu({a.size(0), b.size(1)}, a, b);
  const int64_t m = a.size(0), n = b.size(1), k = a.size(1);
  const Dtype type = product_type(a.dtype());
  const Tensor out = empty({m, n}, type);
  if (out.numel() == 0 || out.is_meta()) return to(out, a.dtype());
  if (multiplies_bfloat16(a.dtype(), m, n, k)) {
    gemm_bfloat16(m, n, k, matrix_of(a), matrix_of(b), out.data<float>(), n, false);
  } else {
    const Tensor x = to(a, type), y = to(b, type);
    gemm(m, n, k, 1, matrix_of(x), matrix_of(y), 0, out.bytes(), n, type);
  }
  return to(out, a.dtype());
}

// Returns true if a kernel can write the product of a and b directly to `out`, without a temporary tensor.
bool takes_product(const Tensor& out, const Tensor& a, const Tensor& b, const Shape& shape) {
  const Dtype dtype = out.dtype();
  const bool computes_in_dtype = dtype == Dtype::float32 || dtype == Dtype::float64;
  if (!computes_in_dtype || a.dtype() != dtype || b.dtype() != dtype || out.shape() != shape) return false;
  if (out.is_cuda() || a.is_cuda() || b.is_cuda() || out.is_meta() || a.is_meta() || b.is_meta()) return false;
  const int d = out.dim();
  const bool has_rows = out.stride(d - 1) == 1 && out.stride(d - 2) >= shape[d - 1];
  return has_rows && out.numel() > 0 && !recording(out) && !recording(a, b) && !may_overlap(out, a) &&
         !may_overlap(out, b);
}

void check_matrices(const Tensor& a, const Tensor& b) {
  require(a.dim() == 2 && b.dim() == 2, "mm: expected two matrices, got shapes ", a.shape(), " and ", b.shape());
  require(a.size(1) == b.size(0), "mat1 and mat2 shapes cannot be multiplied (", a.size(0), "x", a.size(1), " and ",
          b.size(0), "x", b.size(1), ")");
  require_same_dtype(a, b, "mm");
}

void check_batches(const Tensor& a, const Tensor& b) {
  require(a.dim() == 3 && b.dim() == 3, "batch1 and batch2 must be 3D tensors, got shapes ", a.shape(), " and ",
          b.shape());
  require(a.size(0) == b.size(0) && a.size(2) == b.size(1), "bmm: expected size for batch2 to be [", a.size(0), ", ",
          a.size(2), ", *], got ", b.shape());
  require_same_dtype(a, b, "bmm");
}

}  // namespace

Tensor mm(const Tensor& a, const Tensor& b) {
  check_matrices(a, b);
  Tensor out = mm_values(a, b);
  if (recording(a, b))
    record("Mm", out, {&a, &b}, {&saved_factor(a, b), &saved_factor(b, a)}, [](const Context& c) {
      const Tensor& g = c.gradient();
      if (c.needs(0)) c.set(0, mm(g, adjoint(c.saved(1))));
      if (c.needs(1)) c.set(1, mm(adjoint(c.saved(0)), g));
    });
  return out;
}

Tensor mm_into(const Tensor& a, const Tensor& b, const Tensor& out) {
  check_matrices(a, b);
  if (!takes_product(out, a, b, {a.size(0), b.size(1)})) return {};
  begin_inplace(out, "mm");
  gemm(a.size(0), b.size(1), a.size(1), 1, matrix_of(a), matrix_of(b), 0, out.bytes(), out.stride(0), out.dtype());
  return out;
}

const Operator mm_operator({.signature = "mm(input, mat2)",
                            .forms = kFunction | kMethod | kOut | kExactOut | kLowerPrecision,
                            .doc = "Compute the product of two matrices.",
                            .forward = mm,
                            .into = mm_into,
                            .reference = "input @ mat2",
                            .samples = "f(2, 3), f(3, 4); i(2, 3), i(3, 4)"});

namespace {

// Computes out[i] = x[i] @ y[i] for bfloat16 operands and bfloat16 or float32 results. `out` is contiguous.
void multiply_bfloat16_batches(const Tensor& out, const Tensor& x, const Tensor& y) {
  const int64_t m = out.size(1), n = out.size(2);
  gemm_bfloat16_batch({out.size(0), x.stride(0), y.stride(0), m * n}, m, n, x.size(2), matrix_of(x), matrix_of(y),
                      out.bytes(), out.dtype());
}

// Computes out[i] = x[i] @ y[i]. All tensors have the same dtype, and `out` is contiguous.
void multiply_batches(const Tensor& out, const Tensor& x, const Tensor& y) {
  const Dtype type = out.dtype();
  const int64_t batch = out.size(0), m = out.size(1), n = out.size(2), k = x.size(2);
  // If all items share the second matrix, one product suffices.
  if (y.stride(0) == 0 && (m == 1 || x.stride(0) == m * x.stride(1))) {
    const int64_t row = m == 1 ? x.stride(0) : x.stride(1);
    return gemm(batch * m, n, k, 1, {x.bytes(), row, x.stride(2)}, matrix_of(y), 0, out.bytes(), n, type);
  }
  gemm_batch({batch, x.stride(0), y.stride(0), m * n}, m, n, k, matrix_of(x), matrix_of(y), out.bytes(), type);
}

}  // namespace

Tensor bmm(const Tensor& a, const Tensor& b) {
  check_batches(a, b);
  const Shape shape{a.size(0), a.size(1), b.size(2)};
  Tensor out;
  if (cuda::runs_on_gpu(a)) {
    NoRecording off;
    out = product_on_gpu(shape, a, b);
  } else {
    const bool unconverted = multiplies_bfloat16(a.dtype(), shape[1], shape[2], a.size(2));
    const Dtype type = unconverted ? a.dtype() : product_type(a.dtype());
    out = empty(shape, type);
    NoRecording off;
    if (out.numel() > 0 && !out.is_meta())
      unconverted ? multiply_bfloat16_batches(out, a, b) : multiply_batches(out, to(a, type), to(b, type));
    out = to(out, a.dtype());
  }
  if (recording(a, b))
    record("Bmm", out, {&a, &b}, {&saved_factor(a, b), &saved_factor(b, a)}, [](const Context& c) {
      const Tensor& g = c.gradient();
      if (c.needs(0)) c.set(0, bmm(g, adjoint(c.saved(1))));
      if (c.needs(1)) c.set(1, bmm(adjoint(c.saved(0)), g));
    });
  return out;
}

Tensor bmm_into(const Tensor& a, const Tensor& b, const Tensor& out) {
  check_batches(a, b);
  if (!out.is_contiguous() || !takes_product(out, a, b, {a.size(0), a.size(1), b.size(2)})) return {};
  begin_inplace(out, "bmm");
  multiply_batches(out, a, b);
  return out;
}

const Operator bmm_operator({.signature = "bmm(input, mat2)",
                             .forms = kFunction | kMethod | kOut | kExactOut | kLowerPrecision,
                             .doc = "Compute the products of two batches of matrices, (b, n, m) and (b, m, p).",
                             .forward = bmm,
                             .into = bmm_into,
                             .reference = "input @ mat2",
                             .samples = "f(2, 2, 3), f(2, 3, 4); i(2, 2, 3), i(2, 3, 4)"});

Tensor matmul(const Tensor& a, const Tensor& b) {
  if (a.dim() == 2 && b.dim() == 2) return mm(a, b);
  require(a.dim() > 0 && b.dim() > 0, "both arguments to matmul need to be at least 1D, but they are ", a.dim(),
          "D and ", b.dim(), "D");
  if (a.dim() <= 2 && b.dim() == 1) return a.dim() == 1 ? dot(a, b) : mv(a, b);
  if (a.dim() == 1 && b.dim() == 2) return mv(transpose(b, 0, 1), a);
  const Tensor x = a.dim() == 1 ? unsqueeze(a, 0) : a, y = b.dim() == 1 ? unsqueeze(b, 1) : b;
  const int64_t m = x.size(-2), k = x.size(-1), n = y.size(-1);
  require(k == y.size(-2), "mat1 and mat2 shapes cannot be multiplied: the shapes ", a.shape(), " and ", b.shape(),
          " differ in the size they contract, ", k, " and ", y.size(-2));
  Shape batch;
  Tensor out;
  if (y.dim() == 2) {  // all matrices of the batch are multiplied by the same one, so one product suffices
    batch = Shape(x.shape().begin(), x.shape().end() - 2);
    out = mm(reshape(x, {product(batch) * m, k}), y);
  } else {
    const Shape xb(x.shape().begin(), x.shape().end() - 2), yb(y.shape().begin(), y.shape().end() - 2);
    batch = broadcast(xb, yb);
    auto flat = [&](const Tensor& t, int64_t rows, int64_t columns) {
      Shape shape = batch;
      shape.push_back(rows);
      shape.push_back(columns);
      return reshape(expand(t, shape), {product(batch), rows, columns});
    };
    out = bmm(flat(x, m, k), flat(y, k, n));
  }
  if (a.dim() > 1) batch.push_back(m);
  if (b.dim() > 1) batch.push_back(n);
  return reshape(out, batch);
}

Tensor matmul_into(const Tensor& a, const Tensor& b, const Tensor& out) {
  return a.dim() == 2 && b.dim() == 2                             ? mm_into(a, b, out)
         : a.dim() == 3 && b.dim() == 3 && a.size(0) == b.size(0) ? bmm_into(a, b, out)
                                                                  : Tensor();
}

const Operator linalg_matmul_operator({.signature = "matmul(input, other)",
                                       .forms = kPrivate | kOut | kExactOut | kLowerPrecision,
                                       .doc = "Compute the matrix product, like flambeau.matmul.",
                                       .forward = matmul,
                                       .into = matmul_into,
                                       .module = "flambeau.linalg",
                                       .reference = "input @ other",
                                       .samples = "f(2, 3), f(3, 4); f(3), f(2, 3, 2)"});

const Operator matmul_operator(
    {.signature = "matmul(input, other)",
     .forms = kFunction | kMethod | kOut | kExactOut | kLowerPrecision,
     .doc = "Compute the matrix product of vectors, matrices or broadcast batches of matrices. Gradient: both "
            "operands, any order.",
     .forward = matmul,
     .into = matmul_into,
     .reference = "input @ other",
     .samples =
         "f(2, 3), f(3, 4); f(3), f(3); f(2, 1, 2, 3), f(4, 3, 2); f(2, 3), f(3); i(2, 3), i(3, 2); f(2, 0), f(0, 3)"});

namespace {

// Returns true if unrounded_product() computes the product.
bool has_unrounded_product(const Tensor& a, const Tensor& b, Tensor (*product)(const Tensor&, const Tensor&)) {
  const int dim = product == mm ? 2 : product == bmm ? 3 : 0;
  if ((a.dtype() != Dtype::float16 && a.dtype() != Dtype::bfloat16) || a.dim() != dim || b.dim() != dim) return false;
  return cuda::runs_on_gpu(a) || (!a.is_meta() && multiplies_bfloat16(a.dtype(), a.size(-2), b.size(-1), a.size(-1)));
}

// Returns the product of half-precision matrices in float32, the dtype in which sums are accumulated.
Tensor unrounded_product(const Tensor& a, const Tensor& b, Tensor (*product)(const Tensor&, const Tensor&)) {
  (product == mm ? check_matrices : check_batches)(a, b);
  Shape shape = a.shape();
  shape.back() = b.size(-1);
  const Tensor out = empty(shape, Dtype::float32);
  if (cuda::runs_on_gpu(a)) {
    cuda::multiply(out, a, b);
  } else {
    NoRecording off;
    const auto batch_of = [](const Tensor& t) { return t.dim() == 2 ? unsqueeze(t, 0) : t; };
    multiply_bfloat16_batches(batch_of(out), batch_of(a), batch_of(b));
  }
  if (recording(a, b))
    record(product == mm ? "Mm" : "Bmm", out, {&a, &b}, {&a, &b}, [product](const Context& c) {
      const Tensor g = to(c.gradient(), c.saved(0).dtype());
      if (c.needs(0)) c.set(0, product(g, adjoint(c.saved(1))));
      if (c.needs(1)) c.set(1, product(adjoint(c.saved(0)), g));
    });
  return out;
}

}  // namespace

Tensor add_product(const char* name, const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha,
                   Tensor (*product)(const Tensor&, const Tensor&)) {
  const Dtype dtype = a.dtype();
  require_same_dtype(input, a, name);
  require_same_dtype(a, b, name);
  require<NotImplementedError>(dtype != Dtype::bool_, "\"", name, "\" not implemented for '", dtype, "'");
  require(fits(beta, dtype) && fits(alpha, dtype), name, ": beta and alpha must be numbers that '", dtype,
          "' can represent");
  if (!is_inexact(dtype)) {
    beta = beta.integer();
    alpha = alpha.integer();
  }
  const bool half = dtype == Dtype::float16 || dtype == Dtype::bfloat16;
  const auto widen = [&](const Tensor& t) { return half ? to(t, Dtype::float32) : t; };
  Tensor out = has_unrounded_product(a, b, product) ? unrounded_product(a, b, product) : product(widen(a), widen(b));
  require(broadcast(input.shape(), out.shape()) == out.shape(), name, ": the input's shape ", input.shape(),
          " does not expand to ", out.shape());
  if (!alpha.equals(1)) out = mul(out, alpha);
  if (!beta.equals(0)) out = add(beta.equals(1) ? widen(input) : mul(widen(input), beta), out);
  return half ? to(out, dtype) : out;
}

Tensor addmm(const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha) {
  return add_product("addmm", input, a, b, beta, alpha, mm);
}

// Adds the product to the values of `input` in the kernel, without a tensor for the product. The results are those of
// addmm(), because all terms are summed before the addition: there are few terms, and the product fills tiles.
Tensor addmm_in_place(const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha) {
  constexpr int64_t kMaxTerms = 192, kMinWork = 4096;
  check_matrices(a, b);
  const int64_t m = a.size(0), n = b.size(1), k = a.size(1);
  const bool one_addition = m > 1 && n > 1 && k <= kMaxTerms && m * n * k > kMinWork && beta.equals(1);
  if (!one_addition || !fits(alpha, input.dtype()) || !takes_product(input, a, b, {m, n})) {
    write_in_place(input, addmm(input, a, b, beta, alpha), "addmm");
    return input;
  }
  begin_inplace(input, "addmm");
  gemm(m, n, k, alpha.real(), matrix_of(a), matrix_of(b), 1, input.bytes(), input.stride(0), input.dtype());
  return input;
}

const Operator addmm_operator({.signature = "addmm(input, mat1, mat2, *, beta=1, alpha=1)",
                               .forms = kFunction | kMethod | kOut | kExactOut | kInPlace | kLowerPrecision,
                               .doc = "Compute beta * input + alpha * mat1 @ mat2. Gradient: all three operands.",
                               .forward = addmm,
                               .in_place = addmm_in_place,
                               .reference = "beta * input + alpha * (mat1 @ mat2)",
                               .samples = "f(2, 4), f(2, 3), f(3, 4); f(4), f(2, 3), f(3, 4), beta=2, alpha=0.5"});

namespace {

// Computes the sum of the products of a batch as a single product, which adds the terms of all matrices.
Tensor summed_bmm(const Tensor& a, const Tensor& b) {
  require(a.dim() == 3 && b.dim() == 3, "batch1 must be a 3D tensor and batch2 too, got ", a.dim(), "D and ", b.dim(),
          "D");
  require(a.size(0) == b.size(0), "batch1 and batch2 must have same number of batches, got ", a.size(0), " and ",
          b.size(0));
  require(a.size(2) == b.size(1), "Incompatible matrix sizes for bmm (", a.size(1), "x", a.size(2), " and ", b.size(1),
          "x", b.size(2), ")");
  const int64_t count = a.size(0) * a.size(2);
  return mm(reshape(transpose(a, 0, 1), {a.size(1), count}), reshape(b, {count, b.size(2)}));
}

const Operator addbmm_operator(
    {.signature = "addbmm(input, batch1, batch2, *, beta=1, alpha=1)",
     .forms = kFunction | kMethod | kOut | kExactOut | kInPlace | kLowerPrecision,
     .doc = "Compute beta * input + alpha * (batch1 @ batch2).sum(0) for batches of matrices. Gradient: all three "
            "operands.",
     .forward = [](const Tensor& i, const Tensor& a, const Tensor& b, Scalar beta,
                   Scalar alpha) { return add_product("addbmm", i, a, b, beta, alpha, summed_bmm); },
     .reference = "beta * input + alpha * np.sum(batch1 @ batch2, 0)",
     .samples = "f(2, 4), f(5, 2, 3), f(5, 3, 4); f(4), f(5, 2, 3), f(5, 3, 4), beta=2, alpha=0.5"});

}  // namespace

const Operator addmv_operator({.signature = "addmv(input, mat, vec, *, beta=1, alpha=1)",
                               .forms = kFunction | kMethod | kOut | kExactOut | kInPlace,
                               .doc = "Compute beta * input + alpha * mat @ vec. Gradient: all three operands.",
                               .forward = [](const Tensor& i, const Tensor& a, const Tensor& b, Scalar beta,
                                             Scalar alpha) { return add_product("addmv", i, a, b, beta, alpha, mv); },
                               .reference = "beta * input + alpha * (mat @ vec)",
                               .samples = "f(2), f(2, 3), f(3); f(2), f(2, 3), f(3), beta=2, alpha=0.5"});

const Operator baddbmm_operator(
    {.signature = "baddbmm(input, batch1, batch2, *, beta=1, alpha=1)",
     .forms = kFunction | kMethod | kOut | kExactOut | kInPlace | kLowerPrecision,
     .doc = "Compute beta * input + alpha * batch1 @ batch2 for batches of matrices. Gradient: all three operands.",
     .forward = [](const Tensor& i, const Tensor& a, const Tensor& b, Scalar beta,
                   Scalar alpha) { return add_product("baddbmm", i, a, b, beta, alpha, bmm); },
     .reference = "beta * input + alpha * (batch1 @ batch2)",
     .samples = "f(2, 2, 4), f(2, 2, 3), f(2, 3, 4); f(4), f(2, 2, 3), f(2, 3, 4), beta=2, alpha=0.5"});

const Operator adjoint_operator(
    {.signature = "adjoint(input)",
     .forms = kFunction | kMethod,
     .doc = "Conjugate the tensor and exchange its last two dimensions. Gradient: input.",
     .forward =
         [](const Tensor& t) {
           require(t.dim() != 1,
                   "tensor.adjoint() is only supported on matrices or batches of matrices. Got 1-D tensor.");
           return t.dim() ? transpose(conj(t), -2, -1) : conj(t);
         },
     .reference = "np.conj(np.swapaxes(input, -1, -2))",
     .samples = "f(2, 3); c(2, 3, 2)"});

}  // namespace flambeau
