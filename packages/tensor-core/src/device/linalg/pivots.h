// Reductions over the threads of a block: the largest element and its row (the first row if several elements are
// equal), maxima and sums.
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
struct Plus {
  template <class V>
  static V join(V x, V y) {
    return x + y;
  }
};

}  // namespace flambeau::cuda
