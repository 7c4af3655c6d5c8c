// The widest vectors of the instruction set, for the few loops that the compiler does not vectorise by itself. They use
// the compiler's vector extension.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

namespace flambeau::kernels::FLAMBEAU_ISA {

#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
inline constexpr int kVectorBytes = 32;
#else
inline constexpr int kVectorBytes = 16;
#endif

template <class T>
struct Simd {
  using Integer = std::conditional_t<
      sizeof(T) == 1, int8_t,
      std::conditional_t<sizeof(T) == 2, int16_t, std::conditional_t<sizeof(T) == 4, int32_t, int64_t>>>;
  typedef T Vector __attribute__((vector_size(kVectorBytes), aligned(sizeof(T)), may_alias));
  typedef Integer Mask __attribute__((vector_size(kVectorBytes)));
  static constexpr int kLanes = kVectorBytes / sizeof(T);

  static Vector load(const T* p) { return *reinterpret_cast<const Vector*>(p); }
  static void store(T* p, Vector v) { *reinterpret_cast<Vector*>(p) = v; }
  // Computes sum += v * factor. If possible, one instruction loads and broadcasts the factor.
  static void add_multiple(Vector& sum, Vector v, const T& factor) {
#if defined(__AVX512F__) && defined(__GNUC__)
    if constexpr (std::is_same_v<T, float>)
      asm("vfmadd231ps %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(v), "m"(factor));
    else if constexpr (std::is_same_v<T, double>)
      asm("vfmadd231pd %2%{1to8%}, %1, %0" : "+v"(sum) : "v"(v), "m"(factor));
    else
#endif
      sum += v * factor;
  }
  static Mask iota(Integer first, Integer step) {
    Mask m;
    for (int l = 0; l < kLanes; ++l) m[l] = first + Integer(l) * step;
    return m;
  }
};

// Returns the elements at the given indices of a followed by b. The number of indices may differ from the number of
// elements of a.
template <int... index, class A, class B>
[[gnu::always_inline]] inline auto shuffled(A a, B b) {
#if __has_builtin(__builtin_shufflevector)
  return __builtin_shufflevector(a, b, index...);
#else  // GCC 11
  constexpr int kCount = sizeof(A) / sizeof(a[0]);
  typedef std::remove_cvref_t<decltype(a[0])> Result __attribute__((vector_size(sizeof...(index) * sizeof(a[0]))));
  return Result{(index < kCount ? a[index % kCount] : b[index % kCount])...};
#endif
}

// Returns every second element of a and b, beginning with element `first` of a.
template <int first, class Vector>
inline Vector every_second(Vector a, Vector b) {
  return [&]<int... l>(std::integer_sequence<int, l...>) __attribute__((always_inline)) {
    return shuffled<(first + 2 * l)...>(a, b);
  }(std::make_integer_sequence<int, sizeof(Vector) / sizeof(a[0])>{});
}
// Returns the elements of a and b alternately, beginning with element `first` of each.
template <int first, class Vector>
inline Vector in_turn(Vector a, Vector b) {
  constexpr int kCount = sizeof(Vector) / sizeof(a[0]);
  return [&]<int... l>(std::integer_sequence<int, l...>) __attribute__((always_inline)) {
    return shuffled<(first + l / 2 + (l & 1) * kCount)...>(a, b);
  }(std::make_integer_sequence<int, kCount>{});
}
// Swaps each element with even index with the next element.
template <class Vector>
inline Vector swapped_pairs(Vector v) {
  return [&]<int... l>(std::integer_sequence<int, l...>) __attribute__((always_inline)) {
    return shuffled<(l ^ 1)...>(v, v);
  }(std::make_integer_sequence<int, sizeof(Vector) / sizeof(v[0])>{});
}

// Selects elements by the same indices in each group of four elements: 0 to 3 from a, 4 to 7 from b.
template <int... Index, class Vector>
inline Vector pick(Vector a, Vector b) {
  if constexpr (sizeof(Vector) == 4 * sizeof(a[0]))
    return shuffled<Index...>(a, b);
  else
    return shuffled<(Index < 4 ? Index : Index + 4)..., (Index < 4 ? Index + 4 : Index + 8)...>(a, b);
}

// Transposes R rows, four or eight. Four columns at a time are transposed in registers.
template <class T, int R>
inline void transpose_rows(T* to, int64_t to_row, const T* from, int64_t from_row, int64_t columns) {
  typedef T Four __attribute__((vector_size(4 * sizeof(T)), aligned(sizeof(T)), may_alias));
  typedef T Rows __attribute__((vector_size(R * sizeof(T)), aligned(sizeof(T)), may_alias));
  const auto four = [&](int64_t i, int64_t j) { return *reinterpret_cast<const Four*>(from + i * from_row + j); };
  // Returns four elements of row i and, if R is eight, also four elements of row i + 4.
  const auto row = [&](int64_t i, int64_t j) -> Rows {
    if constexpr (R == 4)
      return four(i, j);
    else
      return shuffled<0, 1, 2, 3, 4, 5, 6, 7>(four(i, j), four(i + 4, j));
  };
  int64_t j = 0;
  for (; j + 4 <= columns; j += 4) {
    const Rows r0 = row(0, j), r1 = row(1, j), r2 = row(2, j), r3 = row(3, j);
    const Rows a = pick<0, 4, 1, 5>(r0, r1), b = pick<0, 4, 1, 5>(r2, r3), c = pick<2, 6, 3, 7>(r0, r1),
               d = pick<2, 6, 3, 7>(r2, r3);
    // With a parameter of type Rows&, Clang 14 would assume that rows are aligned.
    const auto store = [&](int64_t k, Rows v) { std::memcpy(to + (j + k) * to_row, &v, sizeof v); };
    store(0, pick<0, 1, 4, 5>(a, b));
    store(1, pick<2, 3, 6, 7>(a, b));
    store(2, pick<0, 1, 4, 5>(c, d));
    store(3, pick<2, 3, 6, 7>(c, d));
  }
  for (; j < columns; ++j)
    for (int64_t i = 0; i < R; ++i) to[j * to_row + i] = from[i * from_row + j];
}

// A word of the size of an element, for functions that only move elements. Such functions must be [[gnu::noipa]], so
// that the compiler does not assume that the memory contains words.
struct TwoWords {
  uint64_t low, high;
};
template <int64_t size>
using WordOf = std::conditional_t<
    size == 1, uint8_t,
    std::conditional_t<size == 2, uint16_t,
                       std::conditional_t<size == 4, uint32_t, std::conditional_t<size == 8, uint64_t, TwoWords>>>>;

// Sets to[j * to_row + i] = from[i * from_row + j] for i < rows, j < columns. Eight rows are transposed at a time only
// if their stores do not cross cache lines.
template <class T>
inline void transpose(T* to, int64_t to_row, const T* from, int64_t from_row, int64_t rows, int64_t columns) {
  constexpr int kMax = sizeof(T) * 8 <= kVectorBytes && sizeof(T) > 2 ? 8 : 4;
  int64_t i = 0;
  for (; to_row % kMax == 0 && i + kMax <= rows; i += kMax)
    transpose_rows<T, kMax>(to + i, to_row, from + i * from_row, from_row, columns);
  for (; i + 4 <= rows; i += 4) transpose_rows<T, 4>(to + i, to_row, from + i * from_row, from_row, columns);
  for (; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) to[j * to_row + i] = from[i * from_row + j];
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
