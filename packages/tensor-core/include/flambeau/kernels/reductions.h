// What each reduction does with an element before it joins it to others, and in which types. Note [Reducing]
#pragma once

#include <cstdint>

#include "flambeau/element.h"
#include "flambeau/kernels/complex_math.h"
#include "flambeau/kernels/joins.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// How an element type is stored and what its value is: half types are float32, booleans 0 or 1 whatever their byte.
template <class T>
struct Element {
  using Stored = T;
  using Value = T;
  static FLAMBEAU_INLINE Value value(Stored v) { return v; }
};
template <>
struct Element<bool> {
  using Stored = uint8_t;
  using Value = uint8_t;
  static FLAMBEAU_INLINE Value value(Stored v) { return v != 0; }
};
template <>
struct Element<float16> {
  using Stored = float16;
  using Value = float;
  static FLAMBEAU_INLINE Value value(Stored v) { return to_float(v); }
};
template <>
struct Element<bfloat16> {
  using Stored = bfloat16;
  using Value = float;
  static FLAMBEAU_INLINE Value value(Stored v) { return to_float(v); }
};
// Elements as integers that are zero where they are: the bits without those of signs. Half types are seen as uint16_t.
template <class T>
struct Zeroness;
template <>
struct Element<Zeroness<uint16_t>> {
  using Stored = uint16_t;
  using Value = uint16_t;
  static FLAMBEAU_INLINE Value value(Stored v) { return Value(v + v); }
};
template <>
struct Element<Zeroness<Complex<float>>> {
  using Stored = uint64_t;
  using Value = uint64_t;
  static FLAMBEAU_INLINE Value value(Stored v) { return v & 0x7fffffff7fffffff; }
};
template <>
struct Element<Zeroness<Complex<double>>> {
  using Stored = Complex<double>;
  using Value = uint64_t;
  static FLAMBEAU_INLINE Value value(Stored v) { return (bit_cast<uint64_t>(v.re) | bit_cast<uint64_t>(v.im)) << 1; }
};
template <class T>
using ValueOf = typename Element<T>::Value;

// What sums of a value are accumulated in, and what they are within a leaf or a few rows.
template <class V>
using Total = std::conditional_t<std::is_integral_v<V>, int64_t, V>;  // Note [Same bits]
template <class V>
using Part = std::conditional_t<std::is_integral_v<V> && sizeof(V) < 4, int32_t, Total<V>>;

// The reductions: how values are joined, in which types, and what is done with each before. `Plain` is the one that is
// left when that is done already: of values of type Plain::Value.
template <class V>
struct SumOf : Add {
  using Plain = SumOf;
  using Value = V;
  using Join = Add;
  using Result = Total<V>;
  using Leaf = Part<V>;
  static FLAMBEAU_INLINE Leaf map(V v) { return Leaf(v); }
};
template <class V>
struct NanSumOf : SumOf<V> {
  static FLAMBEAU_INLINE V map(V v) { return v == v ? v : V(0); }
};
// A complex number's size and square are real.
template <class R>
FLAMBEAU_INLINE R absolute(R v) {
  return abs(v);
}
template <class R>
FLAMBEAU_INLINE R absolute(Complex<R> v) {
  return complex_rows::FLAMBEAU_ISA::abs(v);
}
template <class R>
FLAMBEAU_INLINE R squared(R v) {
  return v * v;
}
template <class R>
FLAMBEAU_INLINE R squared(Complex<R> v) {
  return v.re * v.re + v.im * v.im;
}
template <class V>
using RealOf = decltype(absolute(V()));

template <class V>
struct AbsSumOf : SumOf<RealOf<V>> {
  static FLAMBEAU_INLINE RealOf<V> map(V v) { return absolute(v); }
};
template <class V>
struct SquareSumOf : SumOf<RealOf<V>> {
  static FLAMBEAU_INLINE RealOf<V> map(V v) { return squared(v); }
};
template <class V>
struct CountOf : Add {
  using Plain = CountOf<uint8_t>;
  using Value = V;
  using Join = Add;
  using Result = int64_t;
  using Leaf = int32_t;
  static FLAMBEAU_INLINE Leaf map(V v) { return v != V(0); }
};
// Of elements as 64 bits: of floating ones as doubles.
template <class V>
struct XorOf : Xor {
  using Plain = XorOf<int64_t>;
  using Value = V;
  using Join = Xor;
  using Result = int64_t;
  using Leaf = int64_t;
  static FLAMBEAU_INLINE Leaf map(V v) {
    if constexpr (is_real<V>)
      return bit_cast<int64_t>(double(v));
    else
      return v;
  }
};
template <class V>
struct ProdOf : Multiply {
  using Plain = ProdOf;
  using Value = V;
  using Join = Multiply;
  using Result = Total<V>;
  using Leaf = Result;
  static FLAMBEAU_INLINE Leaf map(V v) { return Leaf(v); }
};
template <class V, class How>
struct ExtremeOf : How {
  using Plain = ExtremeOf;
  using Value = V;
  using Join = How;
  static constexpr bool kElements = true;
  using Result = V;
  using Leaf = V;
  static FLAMBEAU_INLINE V map(V v) { return v; }
};
template <class V, class How>
struct AbsExtremeOf : ExtremeOf<RealOf<V>, How> {
  static constexpr bool kElements = false;
  static FLAMBEAU_INLINE RealOf<V> map(V v) { return absolute(v); }
};
// In lanes as wide as what they are the truth of.
template <class V, class How>
struct TruthOf : How {
  using Plain = TruthOf<uint8_t, How>;
  using Value = V;
  using Join = How;
  using Result = uint8_t;
  using Leaf = std::conditional_t<
      sizeof(V) == 1, uint8_t,
      std::conditional_t<sizeof(V) == 2, int16_t, std::conditional_t<sizeof(V) == 4, int32_t, int64_t>>>;
  static FLAMBEAU_INLINE Leaf map(V v) { return v != V(0); }
};

}  // namespace flambeau::kernels::FLAMBEAU_ISA
