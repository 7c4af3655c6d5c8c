// Householder reflectors 1 - tau v v^H, with LAPACK's signs: the steps that are not matrix products. Note [Elimination]
// in src/cuda/linalg/elimination.cpp. A module invokes FLAMBEAU_REFLECTORS(T), which defines the kernels
//
//   panel      factors some columns into R and the vectors below its diagonal; one block per matrix
//   vectors    writes the vectors with their implicit ones and zeros; one thread per element
//   triangle   computes the triangular factor of a panel's block reflector; one warp per matrix
#pragma once

#include "device/linalg/pivots.h"
#include "device/linalg/reflectors_arguments.h"
#include "device/threads/kernel.h"
#include "flambeau/kernels/parts.h"

namespace flambeau::cuda {

template <class T>
struct Reflectors {
  using Parts = kernels::FLAMBEAU_ISA::Parts<T>;
  using Real = typename Parts::Real;
  static constexpr int kThreads = kReflectorThreads, kWarps = kThreads / 32;

  // Returns the norm of a column from row `first` on, in double precision. If the squares of elements would overflow or
  // underflow, the elements are divided by the largest one.
  static Real norm(const ReflectorPanelArguments& a, int64_t matrix, int64_t first, int64_t column) {
    double scale = 1;
    if constexpr (std::is_same_v<Real, double>) {
      double largest = 0;
      for (int64_t i = first + threadIdx.x; i < a.rows; i += kThreads) {
        const T v = element<T>(a.a, matrix, i, column);
        largest = Larger::join(largest, Larger::join(fabs(Parts::real(v)), fabs(Parts::imaginary(v))));
      }
      largest = join_block<Larger, kThreads>(largest);
      if (largest > 0 && !(largest > 1e-140 && largest < 1e140)) scale = largest;
    }
    double sum = 0;
    for (int64_t i = first + threadIdx.x; i < a.rows; i += kThreads) {
      const T v = element<T>(a.a, matrix, i, column);
      const double re = double(Parts::real(v)) / scale, im = double(Parts::imaginary(v)) / scale;
      sum += re * re + im * im;
    }
    return Real(scale * sqrt(join_block<Plus, kThreads>(sum)));
  }

  // Each warp processes every kWarps-th row. Lane i processes column i.
  static void panel(const ReflectorPanelArguments& a) {
    alignas(16) __shared__ T parts[kWarps][kReflectors];
    const int64_t matrix = blockIdx.x;
    const int lane = int(threadIdx.x) % 32, warp = int(threadIdx.x) / 32;
    const auto at = [&](int64_t i, int64_t j) -> T& { return element<T>(a.a, matrix, i, j); };
    for (int64_t k = 0; k < a.width; ++k) {
      const Real rest = norm(a, matrix, k + 1, k);
      const T alpha = at(k, k), top = lane < a.width ? at(k, lane) : T(0);
      const Real re = Parts::real(alpha), im = Parts::imaginary(alpha);
      T* const tau = reinterpret_cast<T*>(a.tau) + matrix * a.tau_batch + k;
      if (rest == Real(0) && im == Real(0)) {
        if (threadIdx.x == 0) *tau = T(0);
        continue;
      }
      const Real beta = -copysign(hypot(hypot(re, im), rest), re);
      const T scale = T(1) / (alpha - T(beta)), factor = (T(beta) - alpha) / T(beta);
      T sum = T(0);
      for (int64_t i = k + 1 + warp; i < a.rows; i += kWarps) {
        const T value = lane < a.width ? at(i, lane) : T(0);
        sum += Parts::conjugate(of_lane_number(value, int(k)) * scale) * value;
      }
      parts[warp][lane] = sum;
      __syncthreads();  // after this barrier, all threads have also read row k
      sum = top;
      for (int w = 0; w < kWarps; ++w) sum += parts[w][lane];
      const T share = Parts::conjugate(factor) * sum;
      for (int64_t i = k + 1 + warp; i < a.rows; i += kWarps) {
        const T value = lane < a.width ? at(i, lane) : T(0), v = of_lane_number(value, int(k)) * scale;
        if (lane >= k && lane < a.width) at(i, lane) = lane == k ? v : value - share * v;
      }
      if (warp == 0 && lane >= k && lane < a.width) at(k, lane) = lane == k ? T(beta) : top - share;
      if (threadIdx.x == 0) *tau = factor;
      __syncthreads();
    }
  }

  static void vectors(const ReflectorVectorsArguments& a) {
    const int64_t at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (at >= a.count * a.rows * a.width) return;
    const int64_t column = at % a.width, row = at / a.width % a.rows, matrix = at / a.width / a.rows;
    reinterpret_cast<T*>(a.vectors)[at] = row > column    ? element<T>(a.a, matrix, row, column)
                                          : row == column ? T(1)
                                                          : T(0);
  }

  // Computes the columns one by one: T(:j, j) = -tau_j T(:j, :j) V(:, :j)^H v_j, and T(j, j) = tau_j.
  static void triangle(const ReflectorTriangleArguments& a) {
    alignas(16) __shared__ T t[kReflectors][kReflectors + 1];
    const int64_t matrix = blockIdx.x;
    const int k = int(a.width), lane = int(threadIdx.x);
    const T* tau = reinterpret_cast<const T*>(a.tau) + matrix * a.tau_batch;
    const T* gram = reinterpret_cast<const T*>(a.gram) + matrix * k * k;
    for (int j = 0; j < k; ++j) {
      T total = T(0);
      for (int p = lane; p < j; ++p) total += t[lane][p] * gram[p * k + j];
      t[lane][j] = lane < j ? -(tau[j] * total) : lane == j ? tau[j] : T(0);
    }
    __syncwarp();
    T* out = reinterpret_cast<T*>(a.triangle) + matrix * k * k;
    for (int e = lane; e < k * k; e += 32) out[e] = a.adjoint ? Parts::conjugate(t[e % k][e / k]) : t[e / k][e % k];
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_REFLECTORS(T)                                                                                       \
  FLAMBEAU_COOPERATIVE_KERNEL(panel, flambeau::cuda::ReflectorPanelArguments, 256) {                                 \
    flambeau::cuda::Reflectors<T>::panel(a);                                                                         \
  }                                                                                                                  \
  FLAMBEAU_KERNEL(vectors, flambeau::cuda::ReflectorVectorsArguments) { flambeau::cuda::Reflectors<T>::vectors(a); } \
  FLAMBEAU_COOPERATIVE_KERNEL(triangle, flambeau::cuda::ReflectorTriangleArguments, 32) {                            \
    flambeau::cuda::Reflectors<T>::triangle(a);                                                                      \
  }
