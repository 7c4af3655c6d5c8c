// The LDL factorization of src/operators/linalg/indefinite.cpp, which describes the algorithm, and the solution of
// systems with its result. A module invokes FLAMBEAU_INDEFINITE(T), which defines the kernels
//
//   factor   one block per matrix
//   solve    one block for some right-hand sides of a matrix
#pragma once

#include "device/linalg/indefinite_arguments.h"
#include "device/linalg/pivots.h"
#include "device/threads/kernel.h"
#include "flambeau/kernels/parts.h"

namespace flambeau::cuda {

template <class T>
struct Indefinite {
  using Parts = kernels::FLAMBEAU_ISA::Parts<T>;
  static constexpr int kThreads = kIndefiniteThreads, kWarps = kThreads / 32;
  T* a;
  int64_t n;
  bool hermitian;

  T& at(int64_t i, int64_t j) const { return a[i * n + j]; }
  T mirrored(T v) const { return hermitian ? Parts::conjugate(v) : v; }
  static double size(T v) { return fabs(double(Parts::real(v))) + fabs(double(Parts::imaginary(v))); }
  T full_element(int64_t i, int64_t j) const { return i >= j ? at(i, j) : mirrored(at(j, i)); }

  struct PivotChoice {
    int64_t row;
    int width;  // width of the pivot; 0 if the column is zero or its diagonal element is NaN
  };
  PivotChoice choose(int64_t k) const {
    const double alpha = (1 + sqrt(17.0)) / 8, own = size(at(k, k));
    Pivot<double> most{0, k};
    for (int64_t i = k + 1 + threadIdx.x; i < n; i += kThreads)
      if (const double s = size(at(i, k)); s > most.size) most = {s, i};
    most = join_block<LargerPivot, kThreads>(most);
    if ((own == 0 && most.size == 0) || own != own) return {k, 0};
    if (own >= alpha * most.size) return {k, 1};
    const int64_t row = most.row;
    double across = 0;
    for (int64_t j = k + threadIdx.x; j < n; j += kThreads)
      if (j != row) across = Larger::join(across, size(full_element(row, j)));
    across = join_block<Larger, kThreads>(across);
    if (own >= alpha * most.size * (most.size / across)) return {k, 1};
    return {row, size(at(row, row)) >= alpha * across ? 1 : 2};
  }

  void exchange_elements(T& x, T& y) const {
    const T former = x;
    x = y, y = former;
  }
  // Exchanges rows i and j, and columns i and j (i <= j), of the trailing submatrix that begins at row and column k.
  void exchange(int64_t k, int64_t i, int64_t j) const {
    if (i == j) return;
    for (int64_t c = k + threadIdx.x; c < i; c += kThreads) exchange_elements(at(i, c), at(j, c));
    for (int64_t r = j + 1 + threadIdx.x; r < n; r += kThreads) exchange_elements(at(r, i), at(r, j));
    for (int64_t r = i + 1 + threadIdx.x; r < j; r += kThreads) {
      const T below = at(r, i);
      at(r, i) = mirrored(at(j, r));
      at(j, r) = mirrored(below);
    }
    if (threadIdx.x == 0) {
      at(j, i) = mirrored(at(j, i));
      exchange_elements(at(i, i), at(j, j));
    }
    __syncthreads();
  }

  // Replaces the columns k to k + width - 1 with the columns of L. Meanwhile, the rows of the upper triangle contain
  // the original columns, which are needed to update the remaining rows.
  void eliminate(int64_t k, int width) const {
    const int64_t first = k + width;
    const T c = width == 2 ? at(k + 1, k) : T(1), scaled = at(k, k) / mirrored(c);
    const T other = width == 2 ? at(k + 1, k + 1) / c : T(0), determinant = scaled * other - T(1);
    for (int64_t i = first + threadIdx.x; i < n; i += kThreads) {
      const T x = at(i, k);
      at(k, i) = mirrored(x);
      if (width == 1) {
        at(i, k) = x / at(k, k);
        continue;
      }
      const T y = at(i, k + 1);
      at(k + 1, i) = mirrored(y);
      at(i, k) = (other * x - y) / (determinant * mirrored(c));
      at(i, k + 1) = (scaled * y - x) / (determinant * c);
    }
    __syncthreads();
    for (int64_t i = first + threadIdx.x / 32; i < n; i += kWarps) {
      const T l = at(i, k), m = width == 2 ? at(i, k + 1) : T(0);
      for (int64_t j = first + threadIdx.x % 32; j <= i; j += 32)
        at(i, j) -= width == 2 ? l * at(k, j) + m * at(k + 1, j) : l * at(k, j);
    }
    __syncthreads();
    for (int64_t j = first + threadIdx.x; j < n; j += kThreads)
      for (int w = 0; w < width; ++w) at(k + w, j) = T(0);
  }

  static void factor(const IndefiniteArguments& a) {
    const int64_t matrix = blockIdx.x, n = a.size;
    const Indefinite own{static_cast<T*>(a.a) + matrix * n * n, n, a.hermitian};
    int32_t* pivots = a.pivots + matrix * n;
    int64_t info = 0;
    for (int64_t k = 0; k < n;) {
      if (a.hermitian && threadIdx.x == 0) own.at(k, k) = T(Parts::real(own.at(k, k)));
      __syncthreads();
      const PivotChoice choice = own.choose(k);
      const int width = choice.width == 2 ? 2 : 1;
      const int64_t last = k + width - 1;
      if (choice.width == 0 && info == 0) info = k + 1;
      __syncthreads();  // all threads have read the elements that the choice depends on
      own.exchange(k, last, choice.row);
      if (choice.width > 0) own.eliminate(k, width);
      for (int64_t i = k + threadIdx.x; i <= last; i += kThreads)
        pivots[i] = int32_t(width == 1 ? choice.row + 1 : -(choice.row + 1));
      k += width;
    }
    if (threadIdx.x == 0) a.info[matrix] = int32_t(info);
  }

  // A matrix of right-hand sides with `columns` columns. Its rows begin `row` elements apart.
  struct RightSides {
    T* b;
    int64_t columns, row;
    T& at(int64_t i, int64_t c) const { return b[i * row + c]; }
    void exchange(int64_t i, int64_t j) const {
      for (int64_t c = threadIdx.x; c < columns && i != j; c += kThreads) {
        const T former = at(i, c);
        at(i, c) = at(j, c), at(j, c) = former;
      }
      __syncthreads();
    }
  };

  // Solves with the diagonal block of D at row k, of size `width` (1 or 2).
  void divide(int64_t k, int width, const RightSides& b) const {
    for (int64_t c = threadIdx.x; c < b.columns; c += kThreads) {
      if (width == 1) {
        b.at(k, c) = b.at(k, c) / at(k, k);
        continue;
      }
      const T coupling = at(k + 1, k), p = at(k + 1, k + 1) / coupling, q = at(k, k) / mirrored(coupling);
      const T x = b.at(k, c) / mirrored(coupling), y = b.at(k + 1, c) / coupling, determinant = p * q - T(1);
      b.at(k, c) = (p * x - y) / determinant;
      b.at(k + 1, c) = (q * y - x) / determinant;
    }
  }

  // Updates the rows below the block. Each thread computes elements of b; adjacent threads compute adjacent elements.
  void subtract_below(int64_t k, int width, const RightSides& b) const {
    const int64_t first = k + width, elements = (n - first) * b.columns;
    for (int64_t e = threadIdx.x; e < elements; e += kThreads) {
      const int64_t i = first + e / b.columns, c = e % b.columns;
      T value = b.at(i, c);
      for (int w = 0; w < width; ++w) value -= at(i, k + w) * b.at(k + w, c);
      b.at(i, c) = value;
    }
    __syncthreads();
  }
  // Updates the rows k to last. Each warp computes elements of b.
  void subtract_above(int64_t k, int64_t last, const RightSides& b) const {
    const int64_t elements = (last - k + 1) * b.columns;
    for (int64_t e = threadIdx.x / 32; e < elements; e += kWarps) {
      const int64_t row = k + e / b.columns, c = e % b.columns;
      T sum = T(0);
      for (int64_t i = last + 1 + threadIdx.x % 32; i < n; i += 32) sum += mirrored(at(i, row)) * b.at(i, c);
      sum = join_lanes<Plus>(sum, 32);
      if (threadIdx.x % 32 == 0) b.at(row, c) -= sum;
    }
    __syncthreads();
  }

  static void solve(const IndefiniteSolveArguments& a) {
    const int64_t n = a.size, first = int64_t(blockIdx.x) * kIndefiniteColumns, rest = a.columns - first;
    for (int64_t matrix = blockIdx.y; matrix < a.count; matrix += gridDim.y) {
      const Indefinite own{static_cast<T*>(a.a) + matrix * n * n, n, a.hermitian};
      const RightSides b{static_cast<T*>(a.b) + matrix * n * a.columns + first,
                         rest < kIndefiniteColumns ? rest : kIndefiniteColumns, a.columns};
      const int32_t* pivots = a.pivots + matrix * n;
      const auto partner = [&](int64_t k) {
        const int64_t pivot = pivots[k];
        return checked_index(a.reporter, (pivot < 0 ? -pivot : pivot) - 1, n, false);
      };
      for (int64_t k = 0; k < n;) {
        const int width = pivots[k] > 0 || k + 1 == n ? 1 : 2;
        b.exchange(k + width - 1, partner(k));
        own.subtract_below(k, width, b);
        own.divide(k, width, b);
        k += width;
      }
      __syncthreads();
      for (int64_t last = n - 1; last >= 0;) {
        const int width = pivots[last] > 0 || last == 0 ? 1 : 2;
        const int64_t k = last - width + 1;
        own.subtract_above(k, last, b);
        b.exchange(last, partner(k));
        last -= width;
      }
    }
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_INDEFINITE(T)                                                        \
  FLAMBEAU_COOPERATIVE_KERNEL(factor, flambeau::cuda::IndefiniteArguments, 256) {     \
    flambeau::cuda::Indefinite<T>::factor(a);                                         \
  }                                                                                   \
  FLAMBEAU_COOPERATIVE_KERNEL(solve, flambeau::cuda::IndefiniteSolveArguments, 256) { \
    flambeau::cuda::Indefinite<T>::solve(a);                                          \
  }
