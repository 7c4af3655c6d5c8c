// The arithmetic of the Fourier kernels: butterflies, and passes over groups of transforms.
//
// Note [Fourier transforms]
// The algorithm is Stockham's (1966, High-speed convolution and correlation). Each factor r of the length needs one
// pass from one buffer to another. The pass combines r elements by a transform of length r and multiplies them by roots
// of unity. The result is in natural order. The lanes of a vector belong to different transforms, never to one
// transform, so that the passes of all factors have the same structure. The caller splits a single long transform into
// many short ones (operators/fourier/fourier.cpp).
#pragma once

#include "flambeau/kernels/simd.h"
#include "flambeau/macros.h"
#include "kernels/linalg/fourier.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace fourier_passes {

template <class T>
struct Lanes {
  using Vector = typename Simd<T>::Vector;
  static constexpr int kLanes = Simd<T>::kLanes;
  struct Element {
    Vector real, imaginary;
    T* reals() { return reinterpret_cast<T*>(&real); }
  };
};

template <class E>
FLAMBEAU_INLINE E operator+(const E& a, const E& b) {
  return {a.real + b.real, a.imaginary + b.imaginary};
}
template <class E>
FLAMBEAU_INLINE E operator-(const E& a, const E& b) {
  return {a.real - b.real, a.imaginary - b.imaginary};
}
template <class E>
// Multiplies by -i.
FLAMBEAU_INLINE E times_minus_i(const E& a) {
  return {a.imaginary, -a.real};
}
template <class E, class T>
FLAMBEAU_INLINE E times(const E& a, T real, T imaginary) {
  return {a.real * real - a.imaginary * imaginary, a.real * imaginary + a.imaginary * real};
}
template <class E, class T>
FLAMBEAU_INLINE E scaled(const E& a, T factor) {
  return {a.real * factor, a.imaginary * factor};
}

template <class E, class T>
FLAMBEAU_INLINE void butterfly2(E* a, const T*) {
  const E sum = a[0] + a[1];
  a[1] = a[0] - a[1];
  a[0] = sum;
}
template <class E, class T>
FLAMBEAU_INLINE void butterfly3(E* a, const T*) {
  constexpr T kSine = T(0.86602540378443864676);
  const E sum = a[1] + a[2], side = scaled(times_minus_i(a[1] - a[2]), kSine), middle = a[0] - scaled(sum, T(0.5));
  a[0] = a[0] + sum;
  a[1] = middle + side;
  a[2] = middle - side;
}
template <class E, class T>
FLAMBEAU_INLINE void butterfly4(E* a, const T*) {
  const E even = a[0] + a[2], difference = a[0] - a[2], odd = a[1] + a[3], side = times_minus_i(a[1] - a[3]);
  a[0] = even + odd;
  a[1] = difference + side;
  a[2] = even - odd;
  a[3] = difference - side;
}
template <class E, class T>
FLAMBEAU_INLINE void butterfly5(E* a, const T*) {
  constexpr T kCosine1 = T(0.30901699437494742410), kCosine2 = T(-0.80901699437494742410);
  constexpr T kSine1 = T(0.95105651629515357212), kSine2 = T(0.58778525229247312917);
  const E sum1 = a[1] + a[4], sum2 = a[2] + a[3], rotated1 = times_minus_i(a[1] - a[4]),
          rotated2 = times_minus_i(a[2] - a[3]);
  const E middle1 = a[0] + scaled(sum1, kCosine1) + scaled(sum2, kCosine2);
  const E middle2 = a[0] + scaled(sum1, kCosine2) + scaled(sum2, kCosine1);
  const E side1 = scaled(rotated1, kSine1) + scaled(rotated2, kSine2);
  const E side2 = scaled(rotated1, kSine2) - scaled(rotated2, kSine1);
  a[0] = a[0] + sum1 + sum2;
  a[1] = middle1 + side1;
  a[2] = middle2 + side2;
  a[3] = middle2 - side2;
  a[4] = middle1 - side1;
}
template <class E, class T>
FLAMBEAU_INLINE void butterfly8(E* a, const T*) {
  constexpr T kHalf = T(0.70710678118654752440);
  E even[4] = {a[0], a[2], a[4], a[6]}, odd[4] = {a[1], a[3], a[5], a[7]};
  butterfly4(even, static_cast<const T*>(nullptr));
  butterfly4(odd, static_cast<const T*>(nullptr));
  odd[1] = scaled(odd[1] + times_minus_i(odd[1]), kHalf);
  odd[2] = times_minus_i(odd[2]);
  odd[3] = scaled(times_minus_i(odd[3]) - odd[3], kHalf);
  for (int k = 0; k < 4; ++k) {
    a[k] = even[k] + odd[k];
    a[k + 4] = even[k] - odd[k];
  }
}
// A butterfly of any other length r, by the definition of the transform. `roots`: exp(-2 pi i j / r) for j < r.
template <int r, class E, class T>
FLAMBEAU_INLINE void butterfly_any(E* a, const T* roots) {
  E out[r];
  out[0] = a[0];
  for (int j = 1; j < r; ++j) out[0] = out[0] + a[j];
  for (int k = 1; k < r; ++k) {
    out[k] = a[0];
    for (int j = 1; j < r; ++j) {
      const int at = j * k % r;
      out[k] = out[k] + times(a[j], roots[2 * at], roots[2 * at + 1]);
    }
  }
  for (int k = 0; k < r; ++k) a[k] = out[k];
}

// Runs the pass of the factor r. `done` is the product of the preceding factors, `left` the product of the following
// ones.
template <int r, auto butterfly, class T, class E>
void pass(const FourierPlan& plan, int64_t done, int64_t left, const E* from, E* to) {
  const T* roots = static_cast<const T*>(plan.roots);
  T own_roots[2 * r];
  for (int k = 0; k < r; ++k)
    for (int part = 0; part < 2; ++part) own_roots[2 * k + part] = roots[2 * (plan.length / r * k) + part];
  for (int64_t p = 0; p < left; ++p) {
    T twiddle[2 * r];
    for (int k = 1; k < r; ++k)
      for (int part = 0; part < 2; ++part) twiddle[2 * k + part] = roots[2 * (p * k * done) + part];
    for (int64_t q = 0; q < done; ++q) {
      E a[r];
      for (int k = 0; k < r; ++k) a[k] = from[q + done * (p + left * k)];
      butterfly(a, own_roots);
      to[q + done * r * p] = a[0];
      for (int k = 1; k < r; ++k)
        to[q + done * (r * p + k)] = p == 0 ? a[k] : times(a[k], twiddle[2 * k], twiddle[2 * k + 1]);
    }
  }
}

// Transforms `from`. Returns the buffer that contains the result.
template <class T, class E>
E* transform(const FourierPlan& plan, E* from, E* to) {
  int64_t done = 1;
  for (const int* factor = plan.factors; factor != plan.factors_end; ++factor) {
    const int r = *factor;
    const int64_t left = plan.length / (done * r);
    switch (r) {
      case 2:
        pass<2, butterfly2<E, T>, T>(plan, done, left, from, to);
        break;
      case 3:
        pass<3, butterfly3<E, T>, T>(plan, done, left, from, to);
        break;
      case 4:
        pass<4, butterfly4<E, T>, T>(plan, done, left, from, to);
        break;
      case 5:
        pass<5, butterfly5<E, T>, T>(plan, done, left, from, to);
        break;
      case 7:
        pass<7, butterfly_any<7, E, T>, T>(plan, done, left, from, to);
        break;
      case 8:
        pass<8, butterfly8<E, T>, T>(plan, done, left, from, to);
        break;
      case 11:
        pass<11, butterfly_any<11, E, T>, T>(plan, done, left, from, to);
        break;
      case 13:
        pass<13, butterfly_any<13, E, T>, T>(plan, done, left, from, to);
        break;
    }
    E* other = from;
    from = to;
    to = other;
    done *= r;
  }
  return from;
}

}  // namespace fourier_passes

}  // namespace flambeau::kernels::FLAMBEAU_ISA
