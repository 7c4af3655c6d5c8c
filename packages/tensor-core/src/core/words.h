// Types of unsigned words, with which elements of any dtype of the same size are copied.
#pragma once

#include "flambeau/dtype.h"

namespace flambeau {

struct Word16 {
  uint64_t low, high;
};
// Calls f with the tag of the word type that has this size in bytes, for copies that do not interpret elements.
template <class F>
decltype(auto) dispatch_size(int64_t size, F&& f) {
  switch (size) {
    case 1:
      return f(TypeTag<uint8_t>{});
    case 2:
      return f(TypeTag<uint16_t>{});
    case 4:
      return f(TypeTag<uint32_t>{});
    case 8:
      return f(TypeTag<uint64_t>{});
    default:
      return f(TypeTag<Word16>{});
  }
}

}  // namespace flambeau
