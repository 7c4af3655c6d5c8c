// Sums of the products of complex numbers, whose real and imaginary parts are interleaved in memory.
#include "flambeau/kernels/simd.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

template <class T>
void complex_dot(const void* x_data, const void* y_data, int64_t n, void* out) {
  using Vector = typename Simd<T>::Vector;
  constexpr int L = Simd<T>::kLanes, kSums = 2;
  const T *x = static_cast<const T*>(x_data), *y = static_cast<const T*>(y_data);
  Vector same[kSums] = {}, crossed[kSums] = {};  // products of parts of the same type, and of real and imaginary parts
  int64_t p = 0;
  for (; p + kSums * L <= 2 * n; p += kSums * L)
#pragma GCC unroll 2
    for (int s = 0; s < kSums; ++s) {
      const Vector v = Simd<T>::load(x + p + s * L), w = Simd<T>::load(y + p + s * L);
      same[s] += v * w;
      crossed[s] += v * swapped_pairs(w);
    }
  T real = 0, imaginary = 0;
  for (; p < 2 * n; p += 2) {
    real += x[p] * y[p] - x[p + 1] * y[p + 1];
    imaginary += x[p] * y[p + 1] + x[p + 1] * y[p];
  }
  for (int l = 0; l < L; l += 2) {
    real += (same[0][l] + same[1][l]) - (same[0][l + 1] + same[1][l + 1]);
    imaginary += (crossed[0][l] + crossed[1][l]) + (crossed[0][l + 1] + crossed[1][l + 1]);
  }
  static_cast<T*>(out)[0] = real;
  static_cast<T*>(out)[1] = imaginary;
}

}  // namespace

void fill_complex_dot(Table& table) {
  table.complex_dot[0] = complex_dot<float>;
  table.complex_dot[1] = complex_dot<double>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
