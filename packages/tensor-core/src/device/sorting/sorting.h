// Sorts rows. A module invokes FLAMBEAU_ORDER(T). `keys` converts elements to keys for a radix sort. `pick` stores the
// results from the sorted positions. `brief` sorts short rows in a single kernel. `starts` marks the first element of
// each run of equal elements.
#pragma once

#include "device/sorting/sorting_arguments.h"
#include "device/threads/kernel.h"
#include "flambeau/kernels/keys.h"

namespace flambeau::cuda {

inline constexpr int kMaxShortRow = 2048, kOrderThreads = 256;  // kMaxShortRow: maximum length of a short row

template <class T>
struct Order {
  using E = order::BitsOf<T>;
  using K = order::Key<T>;

  static K key(E element, bool descending) {
    const K k = order::key_of<T>(element);
    return descending ? K(~k) : k;
  }
  static void keys(const OrderArguments& a) {
    const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < a.rows * a.length) static_cast<K*>(a.keys)[i] = key(static_cast<const E*>(a.in)[i], a.descending);
  }
  static void pick(const OrderArguments& a) {
    const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i >= a.rows * a.length) return;
    const uint32_t at = a.positions[i];
    if (a.indices) a.indices[i] = at;
    if (a.values) static_cast<E*>(a.values)[i] = static_cast<const E*>(a.in)[i / a.length * a.length + at];
  }
  // Sorts several rows of `padded` items in a block by Batcher's bitonic network (1968). Equal items are ordered by
  // position, so that the sort is stable. Padding comes last.
  static void brief(const OrderArguments& a) {
    alignas(16) __shared__ K keys[kMaxShortRow];
    __shared__ uint32_t positions[kMaxShortRow];
    const unsigned padded = a.padded, per_block = kMaxShortRow / padded;
    const int64_t first_row = int64_t(blockIdx.x) * per_block, left = a.rows - first_row;
    const unsigned items = (left < int64_t(per_block) ? unsigned(left) : per_block) * padded;
    const E* in = static_cast<const E*>(a.in);
    for (unsigned i = threadIdx.x; i < items; i += kOrderThreads) {
      const unsigned row = i / padded, at = i - row * padded;
      keys[i] = at < a.length ? key(in[(first_row + row) * a.length + at], a.descending) : K(~K(0));
      positions[i] = at;
    }
    __syncthreads();
    for (unsigned size = 2; size <= padded; size *= 2)
      for (unsigned step = size / 2; step > 0; step /= 2) {
        for (unsigned pair = threadIdx.x; pair < items / 2; pair += kOrderThreads) {
          const unsigned low = pair / step * step * 2 + pair % step, high = low + step;
          const bool up = size == padded || (low & size) == 0;
          const K x = keys[low], y = keys[high];
          const uint32_t p = positions[low], q = positions[high];
          if ((x > y || (x == y && p > q)) != up) continue;
          keys[low] = y, keys[high] = x;
          positions[low] = q, positions[high] = p;
        }
        __syncthreads();
      }
    for (unsigned i = threadIdx.x; i < items; i += kOrderThreads) {
      const unsigned row = i / padded, at = i - row * padded;
      if (at >= a.length) continue;
      const int64_t start = (first_row + row) * a.length;
      if (a.indices) a.indices[start + at] = positions[i];
      if (a.values) static_cast<E*>(a.values)[start + at] = in[start + positions[i]];
    }
  }
  // Marks the starts of runs in a single row. NaN differs from NaN.
  static void starts(const OrderArguments& a) {
    const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i >= a.length) return;
    const E* values = static_cast<const E*>(a.in);
    a.starts[i] =
        i == 0 || order::is_nan<T>(values[i]) || order::key_of<T>(values[i]) != order::key_of<T>(values[i - 1]);
  }
};

template <class T>
struct Search {
  // Returns true if `value` is inserted after `element`. NaN comes last.
  static bool beyond(T element, T value, bool right) { return right ? !(element > value) : !(element >= value); }
  static void search_sorted(const SearchArguments& a) {
    const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i >= a.count) return;
    const int64_t row = i / a.queries * a.length;
    const T value = static_cast<const T*>(a.values)[i];
    int64_t begin = 0, end = a.length;
    while (begin < end) {
      const int64_t middle = begin + (end - begin) / 2;
      int64_t at = a.sorter ? a.sorter[row + middle] : middle;
      if (beyond(static_cast<const T*>(a.sequence)[row + at], value, a.right))
        begin = middle + 1;
      else
        end = middle;
    }
    a.out[i] = begin;
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_ORDER(T)                                                                                         \
  FLAMBEAU_KERNEL(keys, flambeau::cuda::OrderArguments) { flambeau::cuda::Order<T>::keys(a); }                    \
  FLAMBEAU_KERNEL(pick, flambeau::cuda::OrderArguments) { flambeau::cuda::Order<T>::pick(a); }                    \
  FLAMBEAU_COOPERATIVE_KERNEL(brief, flambeau::cuda::OrderArguments, 256) { flambeau::cuda::Order<T>::brief(a); } \
  FLAMBEAU_KERNEL(starts, flambeau::cuda::OrderArguments) { flambeau::cuda::Order<T>::starts(a); }
#define FLAMBEAU_SEARCH(T) \
  FLAMBEAU_KERNEL(search_sorted, flambeau::cuda::SearchArguments) { flambeau::cuda::Search<T>::search_sorted(a); }
