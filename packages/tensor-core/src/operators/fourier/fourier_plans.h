// Cached plans for the lengths of Fourier transforms: factors and roots of unity.
#pragma once

#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "flambeau/operators.h"
#include "kernels/linalg/fourier.h"

namespace flambeau {

constexpr int kRadices[] = {8, 4, 2, 3, 5, 7, 11, 13};

inline bool smooth(int64_t n) {
  for (const int r : kRadices)
    while (n % r == 0) n /= r;
  return n == 1;
}

// Returns exp(-2 pi i j / n) for the `count` values j = 0, stride, 2 * stride, ... as pairs of real and imaginary
// parts. Almost all results are correctly rounded.
template <class T>
std::vector<T> roots_of_unity(int64_t n, int64_t stride, int64_t count) {
  using Wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;
  constexpr Wide kTurn = Wide(6.28318530717958647692528676655900577L);
  std::vector<T> roots(size_t(2 * count));
  for (int64_t k = 0; k < count; ++k) {
    const int64_t j = k * stride % n, quarter = 4 * j / n;  // rotations by multiples of a quarter turn are exact
    const Wide angle = kTurn * Wide(4 * j - quarter * n) / Wide(4 * n);
    const Wide c = std::cos(angle), s = std::sin(angle);
    const Wide real = quarter == 0 ? c : quarter == 1 ? -s : quarter == 2 ? -c : s;
    const Wide imaginary = quarter == 0 ? -s : quarter == 1 ? -c : quarter == 2 ? s : c;
    roots[size_t(2 * k)] = T(real);
    roots[size_t(2 * k + 1)] = T(imaginary);
  }
  return roots;
}

// Returns the cached value for a length. If it is not cached, make() creates it. The cache is cleared when it is full.
template <class Value, class Make>
std::shared_ptr<const Value> cached_by_length(int64_t length, Make make) {
  constexpr size_t kMaxCached = 64;
  static std::mutex mutex;
  static std::map<int64_t, std::shared_ptr<const Value>> all;
  thread_local std::pair<int64_t, std::shared_ptr<const Value>> last;
  if (last.second && last.first == length) return last.second;
  {
    const std::lock_guard lock(mutex);
    if (const auto found = all.find(length); found != all.end()) return (last = *found).second;
  }
  const auto made = std::make_shared<const Value>(make());  // the lock is not held, because make() may release the GIL
  const std::lock_guard lock(mutex);
  if (all.size() >= kMaxCached) all.clear();
  return (last = *all.emplace(length, made).first).second;
}

template <class T>
struct FourierPlan {
  int64_t length;
  std::vector<int> factors;
  std::vector<T> roots;
  operator kernels::FourierPlan() const {
    return {length, factors.data(), factors.data() + factors.size(), roots.data()};
  }
};
template <class T>
std::shared_ptr<const FourierPlan<T>> plan_of(int64_t length) {
  return cached_by_length<FourierPlan<T>>(length, [&] {
    FourierPlan<T> plan{length, {}, roots_of_unity<T>(length, 1, length)};
    int64_t rest = length;
    for (const int r : kRadices)
      for (; rest % r == 0; rest /= r) plan.factors.push_back(r);
    return plan;
  });
}

// Roots of unity by which a real signal is converted to half its spectrum, and back.
template <class T>
struct HalfRoots {
  std::vector<T> values;
};
template <class T>
std::shared_ptr<const HalfRoots<T>> half_roots_of(int64_t length) {
  return cached_by_length<HalfRoots<T>>(length,
                                        [&] { return HalfRoots<T>{roots_of_unity<T>(length, 1, length / 2 + 1)}; });
}

// Roots of unity for a long transform. Each root is the product of a fine and a coarse one, so that the tables are
// short.
template <class T>
struct TwistRoots {
  int fine_bits;
  std::vector<T> fine, coarse;
};
template <class T>
std::shared_ptr<const TwistRoots<T>> twist_roots_of(int64_t length) {
  return cached_by_length<TwistRoots<T>>(length, [&] {
    int bits = 0;
    while ((int64_t(1) << (2 * bits)) < length) ++bits;
    const int64_t step = int64_t(1) << bits;
    return TwistRoots<T>{bits, roots_of_unity<T>(length, 1, step), roots_of_unity<T>(length, step, length / step + 1)};
  });
}

// Tables for transforms that are decomposed one at a time. Note [Single transforms]
template <class T>
struct SinglePlan {
  bool efficient;  // true: faster than different transforms in the lanes of a vector, even if there are many transforms
  std::shared_ptr<const FourierPlan<T>> columns, rows;
  Tensor twists;  // for each group of columns, the roots of each row: one vector of real and one of imaginary parts
};

// Returns the number of vectors that the two steps of a transform of length n1 * n2 process.
inline int64_t vectors_of_steps(int64_t n1, int64_t n2, int64_t lanes) {
  return (n2 + lanes - 1) / lanes * n1 + (n1 + lanes - 1) / lanes * n2;
}

template <class T>
Tensor twists_of(int64_t n1, int64_t n2, int64_t lanes) {
  const int64_t groups = (n2 + lanes - 1) / lanes;
  const std::vector<T> roots = roots_of_unity<T>(n1 * n2, 1, n1 * n2);
  const Tensor twists = empty({groups, n1, 2, lanes}, dtype_of<T>());
  T* to = reinterpret_cast<T*>(twists.bytes());
  for (int64_t group = 0; group < groups; ++group)
    for (int64_t k = 0; k < n1; ++k)
      for (int64_t part = 0; part < 2; ++part)
        for (int64_t l = 0; l < lanes; ++l) *to++ = roots[size_t(2 * (k * (group * lanes + l) % (n1 * n2)) + part)];
  return twists;
}

template <class T>
std::shared_ptr<const SinglePlan<T>> single_plan_of(int64_t n, int64_t lanes) {
  return cached_by_length<SinglePlan<T>>(n, [&] {
    constexpr int64_t kFirstLevelCache = 40 << 10;
    int64_t n1 = 1;
    for (int64_t d = 2; d < n; ++d)
      if (n % d == 0 && vectors_of_steps(d, n / d, lanes) < vectors_of_steps(n1, n / n1, lanes)) n1 = d;
    const int64_t n2 = n / n1, buffers = 4 * n * lanes * int64_t(sizeof(T));
    const bool few_idle_lanes = 4 * vectors_of_steps(n1, n2, lanes) * lanes <= 5 * 2 * n;
    return SinglePlan<T>{buffers > kFirstLevelCache && few_idle_lanes, plan_of<T>(n1), plan_of<T>(n2),
                         twists_of<T>(n1, n2, lanes)};
  });
}

}  // namespace flambeau
