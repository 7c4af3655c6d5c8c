// Eight numbers that the expression of a pointwise operator processes at once, for functions with loops that the
// compiler does not vectorise.
#pragma once

#include <cstdint>

#include "flambeau/macros.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

struct Eight {
  typedef double Pair __attribute__((vector_size(16)));  // available in every instruction set
  static constexpr int kPairs = 4;
  Pair pairs[kPairs];
  Eight() = default;
  explicit Eight(double v) {
    for (Pair& pair : pairs) pair = Pair{v, v};
  }
  template <class T>
  static Eight load(const T* x, int64_t count) {  // the remaining numbers are 0
    Eight y(0.0);
    for (int64_t j = 0; j < count; ++j) y.pairs[j / 2][j % 2] = x[j];
    return y;
  }
  template <class T>
  void store(T* x, int64_t count) const {
    for (int64_t j = 0; j < count; ++j) x[j] = static_cast<T>(pairs[j / 2][j % 2]);
  }
  friend Eight operator*(Eight a, Eight b) {
    for (int k = 0; k < kPairs; ++k) a.pairs[k] *= b.pairs[k];
    return a;
  }
  friend Eight operator-(Eight a, Eight b) {
    for (int k = 0; k < kPairs; ++k) a.pairs[k] -= b.pairs[k];
    return a;
  }
};

template <class P>
double orthogonal(double x, double n);

inline constexpr double kSideBySide = 256;  // longer recurrences run one by one: they may end early by overflow
// Computes orthogonal polynomials (orthogonal.h) for eight arguments and degrees at the same time.
template <class P>
Eight orthogonal(Eight x, Eight n) {
  constexpr double kLongest = P::kLongest < kSideBySide ? P::kLongest : kSideBySide;
  Eight before(1.0), value;
  double degree = 0;
  bool usual = true;
  for (int j = 0; j < 8; ++j) {
    const double lane_degree = n.pairs[j / 2][j % 2];
    degree = lane_degree > degree ? lane_degree : degree;
    usual &= lane_degree <= kLongest;
  }
  const auto one_by_one = [&](int j) { return orthogonal<P>(x.pairs[j / 2][j % 2], n.pairs[j / 2][j % 2]); };
  if (!usual) {
    for (int j = 0; j < 8; ++j) value.pairs[j / 2][j % 2] = one_by_one(j);
    return value;
  }
  for (int h = 0; h < Eight::kPairs; ++h) value.pairs[h] = P::second(x.pairs[h]);
  for (double k = 1; k + 1 <= degree; k += 1)
#pragma GCC unroll 4
    for (int h = 0; h < Eight::kPairs; ++h) {
      const Eight::Pair current = value.pairs[h], next = P::step(k, x.pairs[h], current, before.pairs[h]);
      before.pairs[h] = current;  // no longer read once `value` is complete
      value.pairs[h] = n.pairs[h] >= k + 1 ? next : current;
    }
  const Eight::Pair none = {}, one = none + 1;
  for (int h = 0; h < Eight::kPairs; ++h)
    value.pairs[h] = n.pairs[h] < 1 ? (n.pairs[h] > -1 ? one : none) : value.pairs[h];
  for (int j = 0; j < 8; ++j)  // further steps after an overflow give NaN
    if (!(value.pairs[j / 2][j % 2] - value.pairs[j / 2][j % 2] == 0)) value.pairs[j / 2][j % 2] = one_by_one(j);
  return value;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
