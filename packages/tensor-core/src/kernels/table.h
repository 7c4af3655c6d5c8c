// The kernel table: one set of contiguous loops per instruction set, chosen once at load. Internal to the library.
// Kernels know neither tensors nor threads; whoever calls them splits the work.
#pragma once

#include "flambeau/pointwise.h"

namespace flambeau::kernels {

using CastKernel = void (*)(char* to, int64_t to_stride, const char* from, int64_t from_stride, int64_t n);  // in bytes
// Reduces the middle of (length, inner) for the columns [0, width) of a row-major block: out[i] = reduce_k in[k * inner
// + i].
using ReduceKernel = void (*)(char* out, const char* in, int64_t length, int64_t inner, int64_t width);
// The same, giving the position of the first extreme value (NaN counts as extreme).
using ArgReduceKernel = void (*)(int64_t* out, const char* in, int64_t length, int64_t inner, int64_t width);
using RowKernel = void (*)(char* out, const char* in, int64_t rows, int64_t length);
using RowBackwardKernel = void (*)(char* out, const char* grad, const char* result, int64_t rows, int64_t length);

enum class Reduce : uint8_t { Sum, Prod, Max, Min };
inline constexpr int kReduceCount = 4;

struct Matrix {  // element (i, j) at data + i * row + j * column
  const void* data;
  int64_t row, column;
};

// Random words come in groups of 64: sixteen Philox counters of four words each.
inline constexpr int64_t kGroup = 64;

struct SgdStep {
  double lr, momentum, dampening, weight_decay, sign;  // sign: -1 to maximise
  bool nesterov, first;
};
struct AdamStep {
  double beta1, beta2, eps, weight_decay, step_size, bias2_root, shrink, sign;
};

// Kernels indexed [2] are for float32 and float64.
struct Table {
  const char* name;
  PointwiseKernel pointwise[kPointwiseCount][kComputeCount];
  PointwiseKernel derivative[kPointwiseCount][kMaxOperands][2];  // operands: grad, then what it reads in order
  CastKernel cast[kDtypeCount][kDtypeCount];                     // [to][from]
  ReduceKernel reduce[kReduceCount][kComputeCount];
  ArgReduceKernel argmax[kComputeCount], argmin[kComputeCount];
  double (*squared_deviation[2])(const char* in, int64_t length, double mean);
  RowKernel softmax[2], log_softmax[2];
  RowBackwardKernel softmax_backward[2], log_softmax_backward[2];
  void (*cumsum[kComputeCount])(char* out, const char* in, int64_t length, int64_t inner);
  // C (m x n, rows ldc apart) = alpha * A (m x k) * B (k x n) + beta * C.
  void (*gemm[2])(int64_t m, int64_t n, int64_t k, double alpha, Matrix a, Matrix b, double beta, void* c, int64_t ldc);
  void (*random_bits)(uint32_t* out, int64_t groups, uint64_t seed, uint64_t first_group);
  void (*normal)(float* out, int64_t groups, const uint32_t* bits);  // kGroup standard normals a group
  void (*dropout[2])(char* out, const char* in, int64_t n, uint32_t threshold, double scale, const uint32_t* bits);
  void (*sgd[2])(char* param, const char* grad, char* momentum_buffer, int64_t n, const SgdStep& step);
  void (*adam[2])(char* param, const char* grad, char* exp_avg, char* exp_avg_sq, char* max_exp_avg_sq, int64_t n,
                  const AdamStep& step);
};

const Table& table();  // the best set this processor runs

}  // namespace flambeau::kernels
