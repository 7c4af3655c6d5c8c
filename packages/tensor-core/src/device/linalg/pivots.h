// The largest of the elements that a block looks at, and where it is: of equal ones the first.
#pragma once

#include "device/threads/teams.h"

namespace flambeau::cuda {

template <class V>
struct Pivot {
  V size;
  int64_t row;
};
struct LargerPivot {
  template <class V>
  static Pivot<V> join(Pivot<V> x, Pivot<V> y) {
    return y.size > x.size || (y.size == x.size && y.row < x.row) ? y : x;
  }
};
struct Larger {
  template <class V>
  static V join(V x, V y) {
    return y > x ? y : x;
  }
};
struct Added {
  template <class V>
  static V join(V x, V y) {
    return x + y;
  }
};

}  // namespace flambeau::cuda
