// The steps of LU and Cholesky factorizations that are not matrix products, for batches of matrices. Note [Elimination]
// in src/cuda/linalg/elimination.cpp. A module invokes FLAMBEAU_ELIMINATION(T), which defines the kernels
//
//   lu          factors some columns, with pivoting; one block per matrix
//   cholesky    factors a diagonal block, A = U^H U; one block per matrix
//   triangle    solves small triangular systems; one warp per right-hand side
//   exchange    exchanges rows as given by the pivots; one thread per column
//
// and FLAMBEAU_ORDER_OF_ROWS, which defines the kernel `order`: it converts pivots to a permutation of the rows, with
// one thread per matrix.
#pragma once

#include "device/linalg/elimination_arguments.h"
#include "device/linalg/pivots.h"
#include "device/threads/kernel.h"
#include "flambeau/kernels/parts.h"

namespace flambeau::cuda {

template <class T>
struct Elimination {
  using Parts = kernels::FLAMBEAU_ISA::Parts<T>;
  using Real = typename Parts::Real;
  static constexpr int kPanel = kEliminationPanel, kThreads = kEliminationThreads;

  static void lu(const PanelArguments& a) {
    alignas(16) __shared__ T row[kPanel];
    const int64_t matrix = blockIdx.x;
    const auto at = [&](int64_t i, int64_t j) -> T& { return element<T>(a.a, matrix, i, j); };
    for (int64_t k = 0; k < a.width && k < a.rows; ++k) {
      Pivot<Real> best{Real(-1), k};
      for (int64_t i = k + threadIdx.x; i < a.rows; i += kThreads)
        if (const Real size = Parts::magnitude(at(i, k)); size > best.size) best = {size, i};
      best = join_block<LargerPivot, kThreads>(best);
      for (int64_t j = threadIdx.x; j < a.width; j += kThreads) {
        const T chosen = at(best.row, j);
        at(best.row, j) = at(k, j);
        at(k, j) = row[j] = chosen;
      }
      if (threadIdx.x == 0) a.pivots[matrix * a.pivots_batch + a.first + k] = int32_t(a.first + best.row + 1);
      __syncthreads();
      const T pivot = row[k];
      if (pivot == T(0)) {  // all elements below the pivot are also zero
        if (threadIdx.x == 0 && a.info[matrix] == 0) a.info[matrix] = int32_t(a.first + k + 1);
        continue;
      }
      for (int64_t i = k + 1 + threadIdx.x; i < a.rows; i += kThreads) {
        const T factor = at(i, k) / pivot;
        at(i, k) = factor;
        for (int64_t j = k + 1; j < a.width; ++j) at(i, j) -= factor * row[j];
      }
      __syncthreads();
    }
  }

  static void cholesky(const PanelArguments& a) {
    alignas(16) __shared__ T tile[kPanel][kPanel + 1];
    const int64_t matrix = blockIdx.x;
    const int n = int(a.width);
    for (int e = threadIdx.x; e < n * n; e += kThreads) tile[e / n][e % n] = element<T>(a.a, matrix, e / n, e % n);
    __syncthreads();
    for (int k = 0; k < n; ++k) {
      const Real pivot = Parts::real(tile[k][k]);
      if (!(pivot > Real(0))) {
        if (threadIdx.x == 0 && a.info[matrix] == 0) a.info[matrix] = int32_t(a.first + k + 1);
        break;
      }
      const Real root = sqrt(pivot), scale = Real(1) / root;
      __syncthreads();  // all threads have read the pivot
      for (int j = k + threadIdx.x; j < n; j += kThreads) tile[k][j] = j == k ? T(root) : tile[k][j] * scale;
      __syncthreads();
      for (int e = threadIdx.x; e < n * n; e += kThreads)
        if (const int i = e / n, j = e % n; i > k && j >= i) tile[i][j] -= Parts::conjugate(tile[k][i]) * tile[k][j];
      __syncthreads();
    }
    for (int e = threadIdx.x; e < n * n; e += kThreads) element<T>(a.a, matrix, e / n, e % n) = tile[e / n][e % n];
  }

  static void triangle(const TriangleArguments& a) {
    alignas(16) __shared__ T tile[kPanel][kPanel + 1];
    const int n = int(a.size), lane = threadIdx.x % 32;
    const int64_t first = int64_t(blockIdx.x) * kEliminationColumns;
    const int64_t last = first + kEliminationColumns < a.columns ? first + kEliminationColumns : a.columns;
    for (int64_t matrix = blockIdx.y; matrix < a.count; matrix += gridDim.y) {
      __syncthreads();  // all reads of the previous matrix are complete
      for (int e = threadIdx.x; e < n * n; e += kThreads) tile[e / n][e % n] = element<T>(a.a, matrix, e / n, e % n);
      __syncthreads();
      for (int64_t c = first + threadIdx.x / 32; c < last; c += kThreads / 32) {
        T value = lane < n ? element<T>(a.b, matrix, lane, c) : T(0);
        for (int step = 0; step < n; ++step) {
          const int i = a.upper ? n - 1 - step : step;
          T solved = of_lane_number(value, i);
          if (!a.unit) solved = solved / tile[i][i];
          if (lane == i) value = solved;
          if (lane < n && (a.upper ? lane < i : lane > i)) value -= tile[lane][i] * solved;
        }
        if (lane < n) element<T>(a.b, matrix, lane, c) = value;
      }
    }
  }

  static void exchange(const ExchangeArguments& a) {
    int64_t column = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (column >= a.columns) return;
    if (column >= a.skipped) column += a.skip;
    for (int64_t matrix = blockIdx.y; matrix < a.count; matrix += gridDim.y)
      for (int64_t s = 0; s < a.steps; ++s) {
        const int64_t row = a.first + (a.back ? a.steps - 1 - s : s);
        const int64_t other =
            checked_index(a.reporter, int64_t(a.pivots[matrix * a.pivots_batch + row]) - 1, a.rows, false);
        const T mine = element<T>(a.a, matrix, row, column);
        element<T>(a.a, matrix, row, column) = element<T>(a.a, matrix, other, column);
        element<T>(a.a, matrix, other, column) = mine;
      }
  }
};

inline void order_of_rows(const OrderOfRowsArguments& a) {
  const int64_t matrix = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (matrix >= a.count) return;
  int64_t* order = a.order + matrix * a.rows;
  for (int64_t i = 0; i < a.rows; ++i) order[i] = i;
  for (int64_t i = 0; i < a.steps && i < a.rows; ++i) {
    const int64_t other = checked_index(a.reporter, int64_t(a.pivots[matrix * a.steps + i]) - 1, a.rows, false);
    const int64_t mine = order[i];
    order[i] = order[other], order[other] = mine;
  }
}

}  // namespace flambeau::cuda

#define FLAMBEAU_ELIMINATION(T)                                                                                   \
  FLAMBEAU_COOPERATIVE_KERNEL(lu, flambeau::cuda::PanelArguments, 256) { flambeau::cuda::Elimination<T>::lu(a); } \
  FLAMBEAU_COOPERATIVE_KERNEL(cholesky, flambeau::cuda::PanelArguments, 256) {                                    \
    flambeau::cuda::Elimination<T>::cholesky(a);                                                                  \
  }                                                                                                               \
  FLAMBEAU_COOPERATIVE_KERNEL(triangle, flambeau::cuda::TriangleArguments, 256) {                                 \
    flambeau::cuda::Elimination<T>::triangle(a);                                                                  \
  }                                                                                                               \
  FLAMBEAU_KERNEL(exchange, flambeau::cuda::ExchangeArguments) { flambeau::cuda::Elimination<T>::exchange(a); }
#define FLAMBEAU_ORDER_OF_ROWS \
  FLAMBEAU_KERNEL(order, flambeau::cuda::OrderOfRowsArguments) { flambeau::cuda::order_of_rows(a); }
