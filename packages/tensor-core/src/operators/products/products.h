// Matrix products on raw memory, computed by several threads.
#pragma once

#include "flambeau/tensor.h"
#include "kernels/linalg/finished_products.h"

namespace flambeau {

// Computes C = alpha * A * B + beta * C, where C is m x n and its rows are ldc elements apart. `dtype` is float32,
// float64, complex64, complex128, or int64 (then alpha must be 1, and beta 0 or 1). The result does not depend on the
// number of threads.
void gemm(int64_t m, int64_t n, int64_t k, double alpha, kernels::Matrix a, kernels::Matrix b, double beta, char* c,
          int64_t ldc, Dtype dtype);

// Computes C = A * B with a finish, in float32 or float64. A and B may be packed (Note [Packed matrices]). The finish
// is applied to each element once, in blocks of contiguous rows.
void gemm(int64_t m, int64_t n, int64_t k, const kernels::PackedMatrix& a, const kernels::PackedMatrix& b, char* c,
          int64_t ldc, Dtype dtype, const kernels::ProductFinish& finish);

// Computes C = A * B for every item of a batch. The results are contiguous.
void gemm_batch(const kernels::Batch& batch, int64_t m, int64_t n, int64_t k, kernels::Matrix a, kernels::Matrix b,
                char* c, Dtype dtype);

// Returns true if a product of this dtype and size should be computed by gemm_bfloat16(), which needs instructions that
// only some processors have. Other products in half precision are computed in float32.
bool multiplies_bfloat16(Dtype dtype, int64_t m, int64_t n, int64_t k);
// Computes C = A * B, or C += A * B if `adds`, where A and B are bfloat16 and C is float32.
void gemm_bfloat16(int64_t m, int64_t n, int64_t k, const kernels::Matrix& a, const kernels::Matrix& b, float* c,
                   int64_t ldc, bool adds);

// Rounds n sums of products to a dtype.
void round_sums(char* to, Dtype dtype, const float* sums, int64_t n);

// Computes C = A * B for every item of a batch, like gemm_bfloat16. The results are contiguous. They are float32, or
// are rounded to the given dtype.
void gemm_bfloat16_batch(const kernels::Batch& batch, int64_t m, int64_t n, int64_t k, const kernels::Matrix& a,
                         const kernels::Matrix& b, char* c, Dtype dtype);

// Returns the dtype in which products of tensors of the dtype `d` are computed.
inline Dtype product_type(Dtype d) {
  if (d == Dtype::float64 || is_complex(d)) return d;
  return is_floating(d) ? Dtype::float32 : Dtype::int64;
}

inline void require_same_dtype(const Tensor& a, const Tensor& b, const char* name) {
  require(a.dtype() == b.dtype(), name, ": expected m1 and m2 to have the same dtype, but got: ", a.dtype(),
          " != ", b.dtype(), "; .to(dtype) converts a tensor or a module");
}

}  // namespace flambeau
