// Sorting and selecting by key.
//
// Note [Keys]
// The key of an element is an unsigned integer with the same order: NaN is largest, and -0 equals 0. An item is a wide
// integer that contains the key and the position of an element. All items differ, so that any sorting algorithm is
// stable. A radix sort processes only the bits in which the keys of a row differ. Keys of integers are differences from
// the minimum, which need no more bits than their range. If there are many short rows, each is a lane of an insertion
// sort (kernels/short_order.cpp).
#pragma once

#include <algorithm>
#include <bit>
#include <limits>
#include <vector>

#include "flambeau/interpreter.h"
#include "flambeau/kernels/keys.h"
#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "kernels/table.h"

namespace flambeau::order {

template <class K>
using Item = std::conditional_t<sizeof(K) == 8, unsigned __int128, uint64_t>;

inline constexpr int kIndexBits[] = {32, 64};
template <class K>
inline constexpr int kShift = kIndexBits[sizeof(K) == 8];

template <class K>
FLAMBEAU_INLINE Item<K> pack(K key, int64_t index) {
  return Item<K>(key) << kShift<K> | Item<K>(index);
}
template <class K>
FLAMBEAU_INLINE K key_in(Item<K> item) {
  return K(item >> kShift<K>);
}
template <class K>
FLAMBEAU_INLINE int64_t index_in(Item<K> item) {
  return int64_t(uint32_t(item));
}

// Memory for n items from the caching allocator, which is freed at the end of the scope.
template <class I>
class ItemBuffer {
 public:
  explicit ItemBuffer(int64_t n) : memory_(empty({(n * int64_t(sizeof(I)) + 7) / 8}, Dtype::int64)) {}
  I* data() const { return reinterpret_cast<I*>(memory_.bytes()); }
  const Tensor& memory() const { return memory_; }

 private:
  Tensor memory_;
};

inline constexpr int64_t kInsertion = 16;  // maximum number of items for which insertion sort is faster than std::sort
inline constexpr int64_t kSmall = 200;     // maximum number of items for which comparisons are faster than counting
inline constexpr int64_t kMedium = 8192;   // maximum number of items for which digits of 8 bits are faster
inline constexpr int64_t kMany = 2048;     // minimum number of items for which a selection by digits is faster
inline constexpr int kDigitBits = 11;
inline constexpr int64_t kItemsPerPoll = int64_t(1)
                                         << 20;  // number of items that are processed between checks for signals

// The bits in which keys differ: `bits` bits, beginning at bit `shift`, where bit 0 is the lowest.
struct Digits {
  int shift = 0, bits = 0;
};
template <class T>
constexpr Digits all_digits() {
  return {kShift<Key<T>>, int(8 * sizeof(T))};
}

// Performs one pass of a radix sort: moves the items item(0), ..., item(n - 1) to the positions that their digits
// determine.
template <class I, class Read>
void distribute(Read&& item, I* to, int64_t n, int shift, int width, int64_t chunks, uint32_t* counts) {
  const int64_t radix = int64_t(1) << width, step = (n + chunks - 1) / chunks;
  const auto digit = [shift, mask = uint32_t(radix - 1)](I value) { return uint32_t(value >> shift) & mask; };
  // Calls body(i) for the items of a chunk.
  const auto over = [n, step](int64_t chunk, auto&& body) {
    const int64_t end = std::min(n, (chunk + 1) * step);
    for (int64_t begin = chunk * step; begin < end; begin += kItemsPerPoll) {
      poll_signals();
      for (int64_t i = begin; i < std::min(end, begin + kItemsPerPoll); ++i) body(i);
    }
  };
  std::fill_n(counts, chunks * radix, 0);
  parallel_tasks(chunks, [&](int64_t chunk) {
    uint32_t* count = counts + chunk * radix;
    over(chunk, [&](int64_t i) { ++count[digit(item(i))]; });
  });
  uint32_t total = 0;
  for (int64_t b = 0; b < radix; ++b)
    for (int64_t c = 0; c < chunks; ++c) total += std::exchange(counts[c * radix + b], total);
  parallel_tasks(chunks, [&](int64_t chunk) {
    uint32_t* next_slot = counts + chunk * radix;
    over(chunk, [&](int64_t i) {
      const I value = item(i);
      to[next_slot[digit(value)]++] = value;
    });
  });
}

// Sorts the items item(0), ..., item(n - 1), which are in the order of their positions. The buffers `from` and `to`
// have memory for n items each. Returns the buffer that contains the sorted items.
template <class I, class Read>
I* sort_items(Read&& item, I* from, I* to, int64_t n, Digits d, int64_t chunks) {
  const int widest = n < kMedium ? 8 : kDigitBits, passes = (d.bits + widest - 1) / widest;
  if (n <= kSmall || passes == 0) {
    for (int64_t i = 0; i < n; ++i) from[i] = item(i);
    if (passes > 0) std::sort(from, from + n);
    return from;
  }
  const int width = (d.bits + passes - 1) / passes;
  std::vector<uint32_t> counts(size_t(chunks << width));
  distribute(item, from, n, d.shift, width, chunks, counts.data());
  for (int pass = 1; pass < passes; ++pass, std::swap(from, to))
    distribute([from](int64_t i) { return from[i]; }, to, n, d.shift + pass * width, width, chunks, counts.data());
  return from;
}

// A tensor as rows along the dimension to sort.
struct SortedRows {
  Tensor input;                   // contiguous, with the dimension last
  int64_t count = 1, length = 1;  // number and length of the rows; count is 0 if there are no elements

  SortedRows(const Tensor& t, int64_t dim) {
    NoRecording off;
    input = contiguous(t.dim() ? transpose(t, dim, -1) : t);
    length = t.dim() ? input.shape().back() : 1;
    count = input.is_meta() ? 0 : length ? input.numel() / length : input.numel();
  }
  template <class T>
  const BitsOf<T>* row(int64_t r) const {
    return reinterpret_cast<const BitsOf<T>*>(input.bytes()) + r * length;
  }
  // Returns an uninitialised tensor for a result that has n elements in each row.
  Tensor result(int64_t n, Dtype dtype) const {
    Shape shape = input.shape();
    if (!shape.empty()) shape.back() = n;
    return empty(shape, dtype);
  }
  // Runs body(row) for every row, on several threads if there is enough work. `work`: work for one row.
  template <class F>
  void each(int64_t work, F&& body) const {
    const GilRelease release(count * work > kGilGrain);
    parallel_items(count, std::max<int64_t>(1, 16384 / (work + 1)), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) body(r);
    });
  }
};

// Like dispatch(), but raises NotImplementedError for complex dtypes, which have no order.
template <class F>
decltype(auto) dispatch_ordered(Dtype dtype, const char* name, F&& f) {
  require<NotImplementedError>(!is_complex(dtype), "\"", name, "\" not implemented for '", dtype, "'");
  return dispatch(dtype, f);
}

// Properties of a set of keys: the bits that are set in all keys (`all`) and in at least one key (`any`). For integers
// also the smallest and the largest key.
template <class T>
struct Span {
  Key<T> all = ~Key<T>(0), any = 0, least = all, largest = 0;

  FLAMBEAU_INLINE void add(const Span& more) {
    all &= more.all;
    any |= more.any;
    if constexpr (kReal<T>) return;
    least = std::min(least, more.least);
    largest = std::max(largest, more.largest);
  }
  void add(const BitsOf<T>* in, int64_t n) {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      // Compare the elements instead of the keys, because keys are wider, so fewer of them fit in a vector.
      T low = std::numeric_limits<T>::max(), high = std::numeric_limits<T>::min();
      BitsOf<T> set = ~BitsOf<T>(0), some = 0;
      for (int64_t i = 0; i < n; ++i) {
        low = std::min(low, T(in[i]));
        high = std::max(high, T(in[i]));
        set &= in[i];
        some |= in[i];
      }
      add({set, some, key_of<T>(BitsOf<T>(low)), key_of<T>(BitsOf<T>(high))});
    } else {
      for (int64_t i = 0; i < n; ++i) {
        const Key<T> key = key_of<T>(in[i]);
        add({key, key, key, key});
      }
    }
  }
  int low() const { return all == any ? 0 : __builtin_ctzll(all ^ any); }
  // Returns the number of bits from bit low() to the highest bit in which keys differ.
  int bits() const { return std::bit_width(kReal<T> ? all ^ any : Key<T>(largest - least)) - low(); }
  Key<T> base(Key<T> flip) const {
    if constexpr (kReal<T>) return flip ? Key<T>(~any) : all;
    return flip ? Key<T>(~largest) : least;
  }
};

// Converts keys of T to keys of the type K, by which items are sorted, and back. If all bits of `flip` are set,
// reverses the order.
template <class T, class K>
struct Rank {
  static constexpr bool kNarrow = sizeof(K) < sizeof(Key<T>), kFromBase = kNarrow || !kReal<T>;
  Key<T> flip = 0, base = 0;
  int low = 0;

  FLAMBEAU_INLINE Item<K> item(const BitsOf<T>* in, int64_t i) const {
    Key<T> key = key_of<T>(in[i]) ^ flip;
    if constexpr (kFromBase) key -= base;
    if constexpr (kNarrow) key >>= low;
    return pack(K(key), i);
  }
  FLAMBEAU_INLINE Key<T> key(Item<K> item) const {
    Key<T> key = key_in<K>(item);
    if constexpr (kNarrow) key <<= low;
    if constexpr (kFromBase) key += base;
    return key;
  }
};

template <class T>
void make_items(const BitsOf<T>* in, int64_t begin, int64_t end, Key<T> flip, Item<Key<T>>* items) {
  const Rank<T, Key<T>> rank{flip};
  for (int64_t i = begin; i < end; ++i) items[i] = rank.item(in, i);
}

// The sorted items of a row, with access to their keys and positions.
template <class T, class K>
struct Sorted {
  const Item<K>* items;
  Rank<T, K> rank;

  Key<T> key(int64_t i) const { return rank.key(items[i]); }
  int64_t index(int64_t i) const { return index_in<K>(items[i]); }
};

// The sorted items of a row. A long row is sorted by several threads. If keys of eight bytes differ only in at most 32
// consecutive bits, only these bits are sorted.
template <class T>
class SortedRow {
 public:
  SortedRow(const BitsOf<T>* in, int64_t n, Key<T> flip);  // sorting.cpp
  SortedRow(const SortedRow&) = delete;

  // Calls use(sorted), where `sorted` is an object of class Sorted.
  template <class Use>
  void read(Use&& use) const {
    if constexpr (sizeof(Key<T>) == 8)
      if (narrow_) return use(Sorted<T, uint32_t>{static_cast<const Item<uint32_t>*>(items_), {flip_, base_, low_}});
    use(Sorted<T, Key<T>>{static_cast<const Item<Key<T>>*>(items_), {flip_, base_, low_}});
  }

 private:
  template <class K>
  void sort_long(const BitsOf<T>* in, int64_t n, const Span<T>& span, int64_t chunks);

  Key<T> flip_, base_ = 0;
  int low_ = 0;
  bool narrow_ = false;
  const void* items_;
  Item<Key<T>> few_[kSmall];
  Tensor memory_;
};

// Finds the key of rank k (counted from 0) among n keys that differ only in their lowest `bits` bits, and the number of
// equal keys with a lower rank. Determines the digits of the key one after the other, from the highest, and drops the
// keys with other digits.
template <class K>
struct RankedKey {
  K key;
  int64_t equal_before;
};
template <class K>
[[gnu::noinline]] RankedKey<K> choose(K* keys, int64_t n, int64_t k, int bits) {
  while (n > kMany && bits > 0) {
    const int width = std::min(kDigitBits, bits);
    bits -= width;
    uint32_t counts[1 << kDigitBits] = {};
    const auto digit = [bits, mask = (K(1) << width) - 1](K key) { return key >> bits & mask; };
    for (int64_t i = 0; i < n; ++i) ++counts[digit(keys[i])];
    K chosen = 0;
    for (; k >= counts[chosen]; ++chosen) k -= counts[chosen];
    int64_t kept = 0;
    for (int64_t i = 0; i < n; ++i) {
      const K key = keys[i];
      keys[kept] = key;
      kept += digit(key) == chosen;
    }
    n = kept;
  }
  std::nth_element(keys, keys + k, keys + n);
  return {keys[k], std::count(keys, keys + k, keys[k])};
}
// Returns the key of rank k among the elements of a row, and the number of equal keys with a lower rank. `keys` is a
// buffer for n keys.
template <class T>
RankedKey<Key<T>> choose(const BitsOf<T>* in, int64_t n, int64_t k, Key<T> flip, Key<T>* keys) {
  Span<T> span;
  span.add(in, n);
  const Key<T> base = span.base(flip);
  const int low = span.low();
  for (int64_t i = 0; i < n; ++i) keys[i] = Key<T>((key_of<T>(in[i]) ^ flip) - base) >> low;
  const auto [key, equal_before] = choose(keys, n, k, span.bits());
  return {base + Key<T>(key << low), equal_before};
}

// Returns true if the first k elements of each of `count` rows of n elements should be found for many rows at a time,
// because the rows are short. Then call first_of_short_rows(); its `values` may be null.
inline bool short_rows(int64_t count, int64_t n, int64_t k) {
  return count >= kernels::kShortOrderRows && k <= kernels::kShortOrderMaxLength && n <= 1024;
}
template <class T>
void first_of_short_rows(const BitsOf<T>* in, int64_t count, int64_t n, int64_t k, bool descending, BitsOf<T>* values,
                         int64_t* indices) {
  kernels::table().short_order[int(dtype_of<T>())](indices, reinterpret_cast<const char*>(in), count, n, k, descending);
  if (!values) return;
  for (int64_t r = 0; r < count; ++r)
    for (int64_t i = 0; i < k; ++i) values[r * k + i] = in[r * n + indices[r * k + i]];
}

template <class I>
FLAMBEAU_INLINE void sort_small(I* items, int64_t n) {
  if (n > kInsertion) return std::sort(items, items + n);
  for (int64_t i = 1; i < n; ++i) {
    const I item = items[i];
    int64_t j = i;
    for (; j > 0 && item < items[j - 1]; --j) items[j] = items[j - 1];
    items[j] = item;
  }
}

}  // namespace flambeau::order
