// Selects elements by rank without sorting. The digits of the result are found one by one, from the most significant
// one on. Each digit is found in a histogram of this digit among the elements whose higher digits are equal to the
// known digits of the result. A module invokes FLAMBEAU_SELECTION(T):
//
//   count      adds the histogram of a tile to the histogram of its row
//   choose     chooses the digit; one block per row
//   tally      counts the elements of a tile that are less than the result or equal to it
//   collect    stores the positions of these elements
#pragma once

#include "device/reductions/running_sums.h"
#include "device/sorting/sorting_arguments.h"
#include "flambeau/kernels/keys.h"

namespace flambeau::cuda {

template <class T>
struct Selection {
  using E = order::BitsOf<T>;
  using K = order::Key<T>;
  static constexpr int kDigits = 256, kBits = 8 * int(sizeof(T));

  static K key(E element, bool descending) {
    const K k = order::key_of<T>(element);
    return (descending ? K(~k) : k) & K(K(~K(0)) >> (8 * sizeof(K) - kBits));
  }

  // The tile of a row that this block processes.
  struct Tile {
    int64_t row, tile, start;
    const E* in;
    explicit Tile(const SelectionArguments& a)
        : row(blockIdx.x / a.tiles),
          tile(blockIdx.x - row * a.tiles),
          start(tile * kTile),
          in(static_cast<const E*>(a.in) + row * a.length) {}
  };

  static void count(const SelectionArguments& a) {
    __shared__ unsigned counts[kDigits];
    const Tile t(a);
    const K prefix = K(a.prefixes[t.row]);
    counts[threadIdx.x] = 0;
    __syncthreads();
    for (int j = 0; j < kSumItems; ++j) {
      const int64_t i = t.start + j * kSumThreads + threadIdx.x;
      if (i >= a.length) break;
      const K k = key(t.in[i], a.descending);
      if (a.shift + 8 >= kBits || K(k >> (a.shift + 8)) == K(prefix >> (a.shift + 8)))
        atomicAdd(&counts[unsigned(k >> a.shift) & (kDigits - 1)], 1u);
    }
    __syncthreads();
    if (const unsigned n = counts[threadIdx.x]; n)
      atomicAdd(a.counts + t.row * kDigits + threadIdx.x, static_cast<unsigned long long>(n));
  }

  static void choose(const SelectionArguments& a) {
    __shared__ int64_t room[kWarps];
    const int64_t row = blockIdx.x, rank = a.ranks[row];
    const int64_t mine = int64_t(a.counts[row * kDigits + threadIdx.x]);
    int64_t total;
    const int64_t before = sum_before(mine, room, total);
    a.counts[row * kDigits + threadIdx.x] = 0;
    if (rank < before || rank >= before + mine) return;
    a.prefixes[row] |= uint64_t(threadIdx.x) << a.shift;
    a.ranks[row] = rank - before;
  }

  // Calls f(i, less, equal) for each of this thread's elements, which are adjacent.
  template <class F>
  static void compare(const SelectionArguments& a, const Tile& t, F&& f) {
    const K found = K(a.prefixes[t.row]);
    for (int j = 0; j < kSumItems; ++j)
      if (const int64_t i = t.start + int64_t(threadIdx.x) * kSumItems + j; i < a.length) {
        const K k = key(t.in[i], a.descending);
        f(i, k < found, k == found);
      }
  }
  // counts_before returns the number of elements less than the result in the preceding threads, and, in the upper half
  // of the word, the number of elements equal to the result.
  static constexpr unsigned kHalf = 16;  // number of bits of half a word
  static unsigned counts_before(const SelectionArguments& a, const Tile& t, unsigned& total) {
    __shared__ unsigned room[kWarps];
    unsigned own = 0;
    compare(a, t, [&](int64_t, bool less, bool equal) { own += unsigned(less) + (unsigned(equal) << kHalf); });
    return sum_before(own, room, total);
  }

  static void tally(const SelectionArguments& a) {
    unsigned total;
    counts_before(a, Tile(a), total);
    if (threadIdx.x != 0) return;
    a.less[blockIdx.x] = total & ((1u << kHalf) - 1);
    a.equal[blockIdx.x] = total >> kHalf;
  }

  static void collect(const SelectionArguments& a) {
    const Tile t(a);
    unsigned total;
    const unsigned before = counts_before(a, t, total);
    const int64_t first = t.row * a.tiles, rank = a.ranks[t.row];
    int64_t less_before = a.less[blockIdx.x] - a.less[first] + (before & ((1u << kHalf) - 1));
    int64_t equal_before = a.equal[blockIdx.x] - a.equal[first] + (before >> kHalf);
    compare(a, t, [&](int64_t i, bool less, bool equal) {
      if (less && a.chosen) a.positions[t.row * a.chosen + less_before] = i;
      if (equal && a.chosen && equal_before <= rank)
        a.positions[t.row * a.chosen + a.chosen - 1 - rank + equal_before] = i;
      if (equal && !a.chosen && equal_before == rank) a.positions[t.row] = i;
      less_before += less, equal_before += equal;
    });
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_SELECTION(T)                                                     \
  FLAMBEAU_COOPERATIVE_KERNEL(count, flambeau::cuda::SelectionArguments, 256) {   \
    flambeau::cuda::Selection<T>::count(a);                                       \
  }                                                                               \
  FLAMBEAU_COOPERATIVE_KERNEL(choose, flambeau::cuda::SelectionArguments, 256) {  \
    flambeau::cuda::Selection<T>::choose(a);                                      \
  }                                                                               \
  FLAMBEAU_COOPERATIVE_KERNEL(tally, flambeau::cuda::SelectionArguments, 256) {   \
    flambeau::cuda::Selection<T>::tally(a);                                       \
  }                                                                               \
  FLAMBEAU_COOPERATIVE_KERNEL(collect, flambeau::cuda::SelectionArguments, 256) { \
    flambeau::cuda::Selection<T>::collect(a);                                     \
  }
