// p-norms of the differences between a row and others.
#include <cmath>

#include "flambeau/kernels/simd.h"
#include "kernels/layers/networks.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

// Returns the sum of term(|x - y|), with one partial sum for each lane of a vector.
template <class T, class Term>
FLAMBEAU_INLINE T sum_of(const T* x, const T* y, int64_t n, Term term) {
  constexpr int kLanes = Simd<T>::kLanes < 8 ? Simd<T>::kLanes : 8;
  T lanes[kLanes] = {}, rest = 0;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int j = 0; j < kLanes; ++j) lanes[j] += term(std::abs(x[i + j] - y[i + j]));
  for (; i < n; ++i) rest += term(std::abs(x[i] - y[i]));
  for (const T lane : lanes) rest += lane;
  return rest;
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
  if (p == 2) return each([=](const T* y) { return std::sqrt(sum_of(x, y, n, [](T d) { return d * d; })); });
  if (p == 1) return each([=](const T* y) { return sum_of(x, y, n, [](T d) { return d; }); });
  if (p == 0) return each([=](const T* y) { return sum_of(x, y, n, [](T d) { return T(d != 0); }); });
  if (std::isinf(p)) return each([=](const T* y) { return largest_of(x, y, n); });
  each([=](const T* y) { return std::pow(sum_of(x, y, n, [p](T d) { return std::pow(d, T(p)); }), T(1 / p)); });
}

}  // namespace

void fill_distances(NetworkTable& table) {
  table.distances[0] = distances<float>;
  table.distances[1] = distances<double>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
