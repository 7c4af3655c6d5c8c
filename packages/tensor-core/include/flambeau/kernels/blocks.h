// Loops over blocks of elements that prefetch the next block while one is computed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "flambeau/macros.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// kBlock is the number of elements in a block. In a long expression, too few loads are in flight to hide the latency of
// memory. Therefore the next block is prefetched if kFetches is true. Processors without AVX-512 prefetch well enough
// by themselves: there, explicit prefetching gains nothing and makes simple operators 20 % slower on data in the cache.
template <class V>
constexpr int64_t kBlock = 1024 / sizeof(V);
#if defined(__AVX512F__)
constexpr bool kFetches = true;
#else
constexpr bool kFetches = false;
#endif
template <class V>
FLAMBEAU_INLINE void fetch(const V* block) {
  for (int64_t i = 0; i < kBlock<V>; i += 64 / int64_t(sizeof(V))) __builtin_prefetch(block + i);
}
template <class Body, class V, class... Operands>
FLAMBEAU_INLINE void for_blocks(int64_t n, Body body, const V* x, const Operands*... more) {
  for (int64_t first = 0; first < n; first += kBlock<V>) {
    const int64_t end = std::min(first + kBlock<V>, n);
    if constexpr (kFetches && !std::is_integral_v<V>) {  // expressions of integers are short, or constant: x != x
      fetch(x + end);
      (fetch(more + end), ...);
    }
    body(first, end);
  }
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
