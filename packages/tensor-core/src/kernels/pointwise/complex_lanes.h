// Vectors of complex numbers, with separate real and imaginary parts, for pointwise operators that consist of
// arithmetic only. The compiler vectorises loops over pairs poorly.
//
// All elements are computed in this way, and the last few of a block in a padded buffer, so that the result of an
// element does not depend on its position.
#pragma once

#include <bit>

#include "flambeau/kernels/complex_math.h"
#include "flambeau/kernels/simd.h"
#include "kernels/pointwise/pointwise_loops.h"

namespace flambeau::complex_pointwise::FLAMBEAU_ISA {

template <class T>
struct Lanes {
  using Real = T;
  using Simd = real::Simd<T>;
  using Vector = typename Simd::Vector;
  using Mask = typename Simd::Mask;
  static constexpr int kLanes = Simd::kLanes;
  Vector re, im;

  Lanes() = default;
  FLAMBEAU_INLINE Lanes(Vector real, Vector imaginary) : re(real), im(imaginary) {}
  FLAMBEAU_INLINE explicit Lanes(T v) : re(Vector{} + v), im{} {}

  static FLAMBEAU_INLINE Lanes load(const Complex<T>* p) {
    const Vector low = Simd::load(&p->re), high = Simd::load(&p->re + kLanes);
    return {real::every_second<0>(low, high), real::every_second<1>(low, high)};
  }
  FLAMBEAU_INLINE void store(Complex<T>* p) const {
    Simd::store(&p->re, real::in_turn<0>(re, im));
    Simd::store(&p->re + kLanes, real::in_turn<kLanes / 2>(re, im));
  }

  friend FLAMBEAU_INLINE Lanes operator-(Lanes a) { return {-a.re, -a.im}; }
  friend FLAMBEAU_INLINE Lanes operator+(Lanes a, Lanes b) { return {a.re + b.re, a.im + b.im}; }
  friend FLAMBEAU_INLINE Lanes operator-(Lanes a, Lanes b) { return {a.re - b.re, a.im - b.im}; }
  friend FLAMBEAU_INLINE Lanes operator*(Lanes a, Lanes b) {
    return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
  }
  friend FLAMBEAU_INLINE Lanes operator/(Lanes a, Lanes b) {  // like divide() in complex.h
    const Vector c = magnitude(b.re), d = magnitude(b.im), larger = c < d ? d : c;
    const Mask exponent = reinterpret_cast<Mask>(larger) >> kMantissa;
    const Mask inverse = exponent < kExponents - 2 ? kExponents - 1 - exponent : Mask{} + 1;
    const Vector scale = reinterpret_cast<Vector>(inverse << kMantissa);
    const Vector x = b.re * scale, y = b.im * scale, square = x * x + y * y;
    const Vector p = a.re * scale, q = a.im * scale, none = Vector{};
    const Mask zero = larger == none, vanishes = larger == none + T(INFINITY);
    const Vector re = (zero ? a.re : p * x + q * y) / square, im = (zero ? a.im : q * x - p * y) / square;
    return {vanishes ? a.re * none : re, vanishes ? a.im * none : im};
  }
  friend FLAMBEAU_INLINE Lanes conj(Lanes a) { return {a.re, -a.im}; }
  friend FLAMBEAU_INLINE Mask operator!=(Lanes a, Lanes b) { return (a.re != b.re) | (a.im != b.im); }
  friend FLAMBEAU_INLINE Mask below_half(Lanes a) { return a.re * a.re + a.im * a.im < T(0.25); }
  friend FLAMBEAU_INLINE Lanes where(Mask mask, Lanes a, Lanes b) { return {mask ? a.re : b.re, mask ? a.im : b.im}; }

 private:
  static constexpr int kMantissa = sizeof(T) == 4 ? 23 : 52;
  static constexpr typename Simd::Integer kExponents = sizeof(T) == 4 ? 255 : 2047;  // exponent bits of infinity
  static FLAMBEAU_INLINE Vector magnitude(Vector v) {
    return reinterpret_cast<Vector>(reinterpret_cast<Mask>(v) & ~(typename Simd::Integer(1) << (8 * sizeof(T) - 1)));
  }
};

// Computes out[i] = f(operands[i]) for K operands, with pointers as in a pointwise kernel.
template <class T, int K, class F>
FLAMBEAU_INLINE void over_lanes(char* const* pointers, int64_t n, F f) {
  using V = Lanes<T>;
  constexpr int64_t L = V::kLanes;
  auto* out = reinterpret_cast<Complex<T>*>(pointers[0]);
  const auto run = [f](Complex<T>* to, const Complex<T>* const* from, int64_t at) __attribute__((always_inline)) {
    V operands[K];
    for (int k = 0; k < K; ++k) operands[k] = V::load(from[k] + at);
    f(operands).store(to + at);
  };
  const Complex<T>* in[K];
  for (int k = 0; k < K; ++k) in[k] = reinterpret_cast<const Complex<T>*>(pointers[k + 1]);
  int64_t i = 0;
  for (; i + L <= n; i += L) run(out, in, i);
  if (i == n) return;
  Complex<T> padded[K + 1][L] = {};
  const Complex<T>* rest[K];
  for (int k = 0; k < K; ++k) {
    for (int64_t j = i; j < n; ++j) padded[k][j - i] = in[k][j];
    rest[k] = padded[k];
  }
  run(padded[K], rest, 0);
  for (int64_t j = i; j < n; ++j) out[j] = padded[K][j - i];
}

template <class Row, class T>
void forward_lanes(char* const* pointers, int64_t n) {
  using V = Lanes<T>;
  over_lanes<T, Row::kArity>(pointers, n, [](const V* x) __attribute__((always_inline)) {
    if constexpr (Row::kArity == 1)
      return Row::template value<V>(x[0]);
    else if constexpr (Row::kArity == 2)
      return Row::template value<V>(x[0], x[1]);
    else
      return Row::template value<V>(x[0], x[1], x[2]);
  });
}

// True if a pointwise operator uses only operations of Lanes and its result is complex.
template <class Row, class T>
constexpr bool uses_lanes() {
  if constexpr (Row::template supports<Lanes<T>>())
    return std::is_same_v<decltype(Row::example(Lanes<T>())), Lanes<T>>;
  else
    return false;
}
template <class Row, int I, class T>
void derivative_lanes(char* const* pointers, int64_t n) {
  using V = Lanes<T>;
  constexpr uint8_t mask = reads<Row, I>();
  over_lanes<T, 1 + std::popcount(mask)>(pointers, n, [](const V* given) __attribute__((always_inline)) {
    const V grad = given[0];
    V read[4] = {grad, grad, grad, grad};  // operands that are not read point to valid memory
    for (int i = 0, next = 1; i <= Row::kArity; ++i)
      if (mask >> i & 1) read[i] = given[next++];
    if constexpr (Row::kArity == 1)
      return Row::template derivative<I, V>(grad, read[0], read[1]);
    else if constexpr (Row::kArity == 2)
      return Row::template derivative<I, V>(grad, read[0], read[1], read[2]);
    else
      return Row::template derivative<I, V>(grad, read[0], read[1], read[2], read[3]);
  });
}

}  // namespace flambeau::complex_pointwise::FLAMBEAU_ISA
