// Reduction of a row with a fixed tree. The order of additions depends only on the row's length, not on the instruction
// set.
#pragma once

#include <cstdint>
#include <type_traits>

#include "flambeau/kernels/joins.h"
#include "flambeau/kernels/simd.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

inline constexpr int64_t kLanes = 64;    // independent partial results along a row
inline constexpr int64_t kLeaf = 16384;  // rows of at most this many elements are not divided
// fold() does not divide products: their accuracy does not depend on the order, and many partial products could be
// subnormal numbers, which are slow. In sequence, such a product becomes 0 and stays 0.
template <class Join>
inline constexpr bool kSplits = !std::is_base_of_v<Multiply, Join>;

// Computes a[j] = join(a[j], b[j]) for j < count with vector instructions. For short arrays and for joins that compare,
// the compiler would generate branches instead.
template <class Join, int64_t count, class Part>
FLAMBEAU_INLINE void join_arrays(Part* a, const Part* b) {
  if constexpr (std::is_arithmetic_v<Part> && count * sizeof(Part) >= 16) {
    constexpr int64_t bytes = count * sizeof(Part) < kVectorBytes ? count * sizeof(Part) : kVectorBytes;
    typedef Part Vector __attribute__((vector_size(bytes), aligned(sizeof(Part)), may_alias));
    for (int64_t j = 0; j < count; j += bytes / int64_t(sizeof(Part))) {
      Vector& to = *reinterpret_cast<Vector*>(a + j);
      to = Join::join(to, *reinterpret_cast<const Vector*>(b + j));
    }
  } else {
    for (int64_t j = 0; j < count; ++j) a[j] = Join::join(a[j], b[j]);
  }
}

// Sets values[j] = f(i + j) for j < count. Uses the member `read` of f if it exists.
template <int64_t count, class Part, class F>
FLAMBEAU_INLINE void read(Part* values, const F& f, int64_t i) {
  if constexpr (requires { f.template read<count>(values, i); })
    f.template read<count>(values, i);
  else
    for (int64_t j = 0; j < count; ++j) values[j] = f(i + j);
}
template <class F>
struct Shifted {
  F f;
  int64_t begin;
  FLAMBEAU_INLINE auto operator()(int64_t i) const { return f(begin + i); }
  template <int64_t count, class Part>
  FLAMBEAU_INLINE void read(Part* values, int64_t i) const {
    FLAMBEAU_ISA::read<count>(values, f, begin + i);
  }
};

// Joins f(i), f(i + 1), ... to `count` parallel lanes while at least `count` of the n elements remain. Advances i.
template <class Join, int64_t count, class Part, class F>
FLAMBEAU_INLINE void join_lanes(Part* lanes, int64_t& i, int64_t n, F f) {
  for (; i + count <= n; i += count) {
    Part values[count];
    read<count>(values, f, i);
    join_arrays<Join, count>(lanes, values);
  }
}
// Sets the initial values of the lanes and returns the number of elements that they contain. Complex products start
// with the first elements, because multiplications by 1 are expensive.
template <class Join, int64_t count, class Part, class F>
FLAMBEAU_INLINE int64_t start_lanes(Part* lanes, int64_t n, F f) {
  if constexpr (std::is_base_of_v<Multiply, Join> && !std::is_arithmetic_v<Part>)
    if (n >= count) {
      read<count>(lanes, f, 0);
      return count;
    }
  for (int64_t j = 0; j < count; ++j) lanes[j] = Join::template identity<Part>();
  return 0;
}
template <class Join, int64_t from, int64_t to, class Part>
FLAMBEAU_INLINE void halve_lanes(Part* lanes) {
  if constexpr (from == 4 && to == 1 && std::is_arithmetic_v<Part> && sizeof(Part) >= 4) {  // this case needs no branch
    typedef Part Four __attribute__((vector_size(4 * sizeof(Part)), aligned(sizeof(Part)), may_alias));
    Four all = *reinterpret_cast<const Four*>(lanes);
    all = Join::join(all, shuffled<2, 3, 0, 1>(all, all));
    all = Join::join(all, shuffled<1, 0, 3, 2>(all, all));
    lanes[0] = all[0];
  } else if constexpr (from > to) {
    constexpr int64_t width = from / 2;
    join_arrays<Join, width>(lanes, lanes + width);
    halve_lanes<Join, width, to>(lanes);
  }
}

// Joins f(begin), ..., f(begin + n - 1). Partial results have the type Part inside a leaf and the type T across leaves.
template <class Join, class T, class Part = T, class F>
T fold(int64_t begin, int64_t n, F f) {
  if (kSplits<Join> && n > kLeaf) {
    const int64_t half = (n / 2 + kLeaf - 1) / kLeaf * kLeaf;
    const T low = fold<Join, T, Part>(begin, half, f), high = fold<Join, T, Part>(begin + half, n - half, f);
    return Join::join(low, high);
  }
  const Shifted<F> at{f, begin};
  Part lanes[kLanes];
  int64_t i = 0;
  if (n >= kLanes) {
    i = start_lanes<Join, kLanes>(lanes, n, at);
    join_lanes<Join, kLanes>(lanes, i, n, at);
    halve_lanes<Join, kLanes, 16>(lanes);
  } else {
    i = start_lanes<Join, 16>(lanes, n, at);
  }
  join_lanes<Join, 16>(lanes, i, n, at);
  if (!Join::kPairs && i < n && n >= 16) {  // an element may be included twice in a maximum or minimum
    i = n - 16;
    join_lanes<Join, 16>(lanes, i, n, at);
  }
  halve_lanes<Join, 16, 4>(lanes);
  join_lanes<Join, 4>(lanes, i, n, at);
  halve_lanes<Join, 4, 1>(lanes);
  for (; i < n; ++i) lanes[0] = Join::join(lanes[0], at(i));
  return T(lanes[0]);
}

// Returns the maximum or minimum of a contiguous row. May read an element twice.
template <class Join, class T>
T extreme_of_row(const T* in, int64_t n) {
  constexpr int64_t kWidth = Simd<T>::kLanes;
  const auto at = [in](int64_t i) __attribute__((always_inline)) { return Simd<T>::load(in + i); };
  if (n >= kWidth) {
    auto best = at(n - kWidth);
    int64_t i = 0;
    if (n >= 4 * kWidth) {
      auto a = at(0), b = at(kWidth), c = at(2 * kWidth), d = at(3 * kWidth);
      for (i = 4 * kWidth; i + 4 * kWidth <= n; i += 4 * kWidth) {
        a = Join::join(a, at(i));
        b = Join::join(b, at(i + kWidth));
        c = Join::join(c, at(i + 2 * kWidth));
        d = Join::join(d, at(i + 3 * kWidth));
      }
      best = Join::join(best, Join::join(Join::join(a, b), Join::join(c, d)));
    }
    for (; i + kWidth < n; i += kWidth) best = Join::join(best, at(i));
    T lanes[kWidth];
    Simd<T>::store(lanes, best);
    if constexpr (kWidth > 4) halve_lanes<Join, kWidth, 4>(lanes);
    halve_lanes<Join, (kWidth > 4 ? 4 : kWidth), 1>(lanes);
    return lanes[0];
  }
  return fold<Join, T>(0, n, [in](int64_t i) __attribute__((always_inline)) { return in[i]; });
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
