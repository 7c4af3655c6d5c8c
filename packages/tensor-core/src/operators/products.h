// The matrix product on raw memory, over the thread pool. For the operator families that are made of it.
#pragma once

#include "flambeau/dtype.h"
#include "kernels/table.h"

namespace flambeau {

// C (m x n, rows ldc apart) = alpha * A * B + beta * C; dtype is float32, float64, complex64, complex128, or
// int64 (then alpha is 1, and beta 0 or 1). The result does not depend on the number of threads.
void gemm(int64_t m, int64_t n, int64_t k, double alpha, kernels::Matrix a, kernels::Matrix b, double beta, char* c,
          int64_t ldc, Dtype dtype);

}  // namespace flambeau
