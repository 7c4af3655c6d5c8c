// The widest vector of this instruction set, by the compiler's vector extension: for the few loops that it does not
// vectorise by itself.
#pragma once

#include <cstdint>
#include <type_traits>

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
  static Mask iota(Integer first, Integer step) {
    Mask m;
    for (int l = 0; l < kLanes; ++l) m[l] = first + Integer(l) * step;
    return m;
  }
};

// to[j * to_row + i] = from[i * from_row + j] for i < rows, j < columns: blocks of four by four are turned in
// registers.
template <class T>
inline void transpose(T* to, int64_t to_row, const T* from, int64_t from_row, int64_t rows, int64_t columns) {
  typedef T Four __attribute__((vector_size(4 * sizeof(T)), aligned(sizeof(T)), may_alias));
  typedef typename Simd<T>::Integer Index __attribute__((vector_size(4 * sizeof(T))));
  const int64_t whole = rows / 4 * 4;
  for (int64_t i = 0; i < whole; i += 4) {
    const T* s = from + i * from_row;
    T* d = to + i;
    int64_t j = 0;
    for (; j + 4 <= columns; j += 4) {
      const auto row = [&](int64_t k) -> const Four& { return *reinterpret_cast<const Four*>(s + k * from_row + j); };
      const auto out = [&](int64_t k) -> Four& { return *reinterpret_cast<Four*>(d + (j + k) * to_row); };
      const Four r0 = row(0), r1 = row(1), r2 = row(2), r3 = row(3);
      const Four a0 = __builtin_shuffle(r0, r1, Index{0, 4, 2, 6}), a1 = __builtin_shuffle(r0, r1, Index{1, 5, 3, 7}),
                 a2 = __builtin_shuffle(r2, r3, Index{0, 4, 2, 6}), a3 = __builtin_shuffle(r2, r3, Index{1, 5, 3, 7});
      out(0) = __builtin_shuffle(a0, a2, Index{0, 1, 4, 5});
      out(1) = __builtin_shuffle(a1, a3, Index{0, 1, 4, 5});
      out(2) = __builtin_shuffle(a0, a2, Index{2, 3, 6, 7});
      out(3) = __builtin_shuffle(a1, a3, Index{2, 3, 6, 7});
    }
    for (; j < columns; ++j)
      for (int64_t k = 0; k < 4; ++k) d[j * to_row + k] = s[k * from_row + j];
  }
  for (int64_t i = whole; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) to[j * to_row + i] = from[i * from_row + j];
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
