// p-norms of the differences between rows, and their derivatives. A module invokes FLAMBEAU_DISTANCES(T), which
// defines
//
//   distances   one block per tile of pairs of rows; it loads parts of the rows into shared memory
//   slopes      the gradient with respect to x; one thread per element, which loops over all rows of y
#pragma once

#include "device/linalg/distances_arguments.h"
#include "device/threads/kernel.h"
#include "flambeau/kernels/math.h"

namespace flambeau::cuda {

template <class T>
struct Distances {
  static constexpr int kTile = kDistanceTile;

  static T power(T x, T y) { return T(pow(x, y)); }

  static T joined(T sum, T difference, double p) {
    const T d = difference < 0 ? -difference : difference;
    if (p == 2) return sum + d * d;
    if (p == 1) return sum + d;
    if (p == 0) return sum + T(d != 0);
    if (isinf(p)) return d <= sum || sum != sum ? sum : d;
    return sum + power(d, T(p));
  }
  static T finished(T sum, double p) {
    if (p == 2) return T(sqrt(sum));
    return p == 1 || p == 0 || isinf(p) ? sum : power(sum, T(1 / p));
  }

  static void distances(const DistanceArguments& a) {
    alignas(16) __shared__ T xs[kTile][kTile + 1];
    alignas(16) __shared__ T ys[kTile][kTile + 1];
    const int64_t across = (a.k + kTile - 1) / kTile, down = (a.n + kTile - 1) / kTile;
    const int64_t batch = blockIdx.x / (across * down), block = blockIdx.x % (across * down);
    const int64_t first_row = block / across * kTile, first_column = block % across * kTile;
    const int row = threadIdx.x / kTile, column = threadIdx.x % kTile;
    const T* x = static_cast<const T*>(a.x) + batch * a.n * a.m;
    const T* y = static_cast<const T*>(a.y) + batch * a.k * a.m;
    T sum(0);
    for (int64_t part = 0; part < a.m; part += kTile) {
      const int64_t c = part + column;
      xs[row][column] = first_row + row < a.n && c < a.m ? x[(first_row + row) * a.m + c] : T(0);
      ys[row][column] = first_column + row < a.k && c < a.m ? y[(first_column + row) * a.m + c] : T(0);
      __syncthreads();
      for (int i = 0; i < kTile && part + i < a.m; ++i) sum = joined(sum, xs[row][i] - ys[column][i], a.p);
      __syncthreads();
    }
    const int64_t i = first_row + row, j = first_column + column;
    if (i < a.n && j < a.k) static_cast<T*>(a.out)[(batch * a.n + i) * a.k + j] = finished(sum, a.p);
  }

  // Returns the derivative of a distance with respect to one component of the difference.
  static T slope(T difference, T distance, double p) {
    const T size = difference < 0 ? -difference : difference;
    if (p == 0 || distance == 0 || difference == 0 || difference != difference) return T(0);
    T amount(1);
    if (isinf(p))
      amount = T(size == distance);
    else if (p == 2)
      amount = size / distance;
    else if (p != 1)
      amount = power(size / distance, T(p - 1));
    return difference < 0 ? -amount : amount;
  }

  static void slopes(const DistanceArguments& a) {
    const int64_t at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (at >= a.batch * a.n * a.m) return;
    const int64_t row = at / a.m, column = at - row * a.m, batch = row / a.n;
    const T own = static_cast<const T*>(a.x)[at], *grad = static_cast<const T*>(a.grad) + row * a.k;
    const T *y = static_cast<const T*>(a.y) + batch * a.k * a.m + column,
            *distance = static_cast<const T*>(a.distances) + row * a.k;
    T sum(0);
    for (int64_t j = 0; j < a.k; ++j) sum += grad[j] * slope(own - y[j * a.m], distance[j], a.p);
    static_cast<T*>(a.out)[at] = sum;
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_DISTANCES(T)                                                      \
  FLAMBEAU_COOPERATIVE_KERNEL(distances, flambeau::cuda::DistanceArguments, 256) { \
    flambeau::cuda::Distances<T>::distances(a);                                    \
  }                                                                                \
  FLAMBEAU_KERNEL(slopes, flambeau::cuda::DistanceArguments) { flambeau::cuda::Distances<T>::slopes(a); }
