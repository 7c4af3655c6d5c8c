// Rows of elements as stored in memory, converted to the type of the computation. Note [Reducing]
#pragma once

#include "flambeau/kernels/elements.h"
#include "flambeau/kernels/halves.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// Applies map(value) to the elements of a row. Half-precision elements are converted a vector at a time.
template <class T, class Map>
struct Row {
  const typename Element<T>::Stored* in;
  Map map;
  FLAMBEAU_INLINE auto operator()(int64_t i) const { return map(Element<T>::value(in[i])); }
  template <int64_t count, class Part>
    requires(is_half<T> && count % kHalfTile == 0)
  FLAMBEAU_INLINE void read(Part* values, int64_t i) const {
    for (int64_t j = 0; j < count; j += kHalfTile) {
      float tile[kHalfTile];
      widen(tile, in + i + j);
      for (int64_t k = 0; k < kHalfTile; ++k) values[j + k] = map(tile[k]);
    }
  }
};
template <class T, class Map>
FLAMBEAU_INLINE Row<T, Map> row_of(const typename Element<T>::Stored* in, Map map) {
  return {in, map};
}
// Stores the next `count` elements of a row in `to`, converted to the type of the computation.
template <class T>
FLAMBEAU_INLINE void read_values(ValueOf<T>* to, const typename Element<T>::Stored* in, int64_t count) {
  int64_t i = 0;
  if constexpr (is_half<T>)
    for (; i + kHalfTile <= count; i += kHalfTile) widen(to + i, in + i);
  for (; i < count; ++i) to[i] = Element<T>::value(in[i]);
}

// A source of a reduction's elements that reads them in place, in the type in which they are stored.
template <class T>
struct InPlace {
  using Stored = typename Element<T>::Stored;
  using Buffer = char;
  static constexpr bool kBuffered = false;
  const Stored* in;
  static FLAMBEAU_INLINE ValueOf<T> value(Stored v) { return Element<T>::value(v); }
  FLAMBEAU_INLINE const Stored* row(int64_t i, int64_t, Buffer*) const { return in + i; }
};
// A source that converts elements to type V with the function `read`, so that one kernel serves all types that can be
// converted to V.
template <class V>
struct ReadAs {
  using Buffer = V;
  static constexpr bool kBuffered = true;
  const char* in;
  void (*read)(V* to, const char* in, int64_t count);
  int64_t size;  // size of an element in bytes
  static FLAMBEAU_INLINE V value(V v) { return v; }
  FLAMBEAU_INLINE const V* row(int64_t i, int64_t count, Buffer* buffer) const {
    read(buffer, in + i * size, count);
    return buffer;
  }
};

}  // namespace flambeau::kernels::FLAMBEAU_ISA
