// p-norms of the differences between a row and other rows, and their derivatives.
#include <cmath>

#include "flambeau/kernels/simd.h"
#include "kernels/layers/networks.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

template <class T>
constexpr int kLanes = Simd<T>::kLanes < 8 ? Simd<T>::kLanes : 8;
template <class T>
struct Lanes {
  typedef T Vector __attribute__((vector_size(kLanes<T> * sizeof(T)), aligned(sizeof(T)), may_alias));
};

template <class V>  // a number or a vector
FLAMBEAU_INLINE V magnitude(V d) {
  return d < 0 ? -d : d;
}

// Returns the sum of term(x - y), with several partial sums for each lane of a vector.
template <class T, class Term>
FLAMBEAU_INLINE T sum_of(const T* x, const T* y, int64_t n, Term term) {
  using Vector = typename Lanes<T>::Vector;
  constexpr int64_t kSums = 4, L = kLanes<T>;
  const auto vector_at = [=](int64_t i) {
    return term(*reinterpret_cast<const Vector*>(x + i) - *reinterpret_cast<const Vector*>(y + i));
  };
  int64_t i = 0;
  T rest = 0;
  if (n < L) {  // for example, the coordinates of a point
    for (; i < n; ++i) rest += term(x[i] - y[i]);
    return rest;
  }
  Vector sums[kSums] = {};
  for (; i + kSums * L <= n; i += kSums * L)
#pragma GCC unroll 4
    for (int64_t s = 0; s < kSums; ++s) sums[s] += vector_at(i + s * L);
  for (; i + L <= n; i += L) sums[0] += vector_at(i);
  for (; i < n; ++i) rest += term(x[i] - y[i]);
  const Vector sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  for (int64_t lane = 0; lane < L; ++lane) rest += sum[lane];
  return rest;
}

template <class T>
T sum_of_powers(const T* x, const T* y, int64_t n, double p) {
  T sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::pow(std::abs(x[i] - y[i]), T(p));
  return sum;
}

template <class T>
T largest_of(const T* x, const T* y, int64_t n) {
  T largest = 0;
  for (int64_t i = 0; i < n; ++i) {
    const T d = std::abs(x[i] - y[i]);
    if (!(d <= largest)) largest = std::isnan(largest) ? largest : d;
  }
  return largest;
}

template <class T>
void distances(const char* row, const char* rows, int64_t count, int64_t n, double p, char* out) {
  const T *x = reinterpret_cast<const T*>(row), *first = reinterpret_cast<const T*>(rows);
  T* to = reinterpret_cast<T*>(out);
  const auto each = [&](auto norm) {
    for (int64_t r = 0; r < count; ++r) to[r] = norm(first + r * n);
  };
  if (p == 2) return each([=](const T* y) { return std::sqrt(sum_of(x, y, n, [](auto d) { return d * d; })); });
  if (p == 1) return each([=](const T* y) { return sum_of(x, y, n, [](auto d) { return magnitude(d); }); });
  if (p == 0)
    return each([=](const T* y) {
      return sum_of(x, y, n, [](auto d) { return d != 0 ? decltype(d){} + T(1) : decltype(d){}; });
    });
  if (std::isinf(p)) return each([=](const T* y) { return largest_of(x, y, n); });
  each([=](const T* y) { return std::pow(sum_of_powers(x, y, n, p), T(1 / p)); });
}

template <class T>
void distance_slopes(const char* row, const char* rows, int64_t count, int64_t n, double p, const char* grads_bytes,
                     const char* distances_bytes, char* sums_bytes) {
  const T *x = reinterpret_cast<const T*>(row), *y = reinterpret_cast<const T*>(rows),
          *grads = reinterpret_cast<const T*>(grads_bytes), *distances = reinterpret_cast<const T*>(distances_bytes);
  T* sums = reinterpret_cast<T*>(sums_bytes);
  if (p == 0) return;
  for (int64_t r = 0; r < count; ++r, y += n) {
    const T g = grads[r], d = distances[r];
    const auto each = [&](auto slope) {
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) {
        const T difference = x[i] - y[i], amount = slope(std::abs(difference));
        sums[i] += difference > 0 ? amount : difference < 0 ? -amount : T(0);
      }
    };
    if (d == 0)
      continue;
    else if (p == 1)
      each([g](T) { return g; });
    else if (p == 2)
      each([share = g / d](T size) { return share * size; });
    else if (std::isinf(p))
      each([g, d](T size) { return size == d ? g : T(0); });
    else
      each([=](T size) { return g * std::pow(size / d, T(p - 1)); });
  }
}

}  // namespace

void fill_distances(NetworkTable& table) {
  table.distances[0] = distances<float>;
  table.distances[1] = distances<double>;
  table.distance_slopes[0] = distance_slopes<float>;
  table.distance_slopes[1] = distance_slopes<double>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
