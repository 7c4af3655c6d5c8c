// Elements as stored in memory, and the values to compute with. Note [Reducing]
#pragma once

#include <cstdint>

#include "flambeau/element.h"
#include "flambeau/kernels/math.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// The type in which an element is stored, and the type and value that kernels compute with. Half-precision values are
// float32. Booleans are 0 or 1, although their byte may have any value.
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
// Represents an element by an integer that is 0 if and only if the element is 0: its bits except sign bits.
// Half-precision values are read as uint16_t.
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

}  // namespace flambeau::kernels::FLAMBEAU_ISA
