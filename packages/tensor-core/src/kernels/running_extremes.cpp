// Cumulative extremes and their positions.
#include "flambeau/kernels/keys.h"
#include "flambeau/kernels/math.h"
#include "flambeau/kernels/simd.h"
#include "kernels/narrow_table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

// The type in which elements are compared.
template <class T>
using Compared = std::conditional_t<std::is_same_v<T, bfloat16>, float, T>;
// The last of equal elements is kept. After a NaN, only another NaN replaces it.
template <bool largest, class T>
FLAMBEAU_INLINE bool replaces(T value, T best) {
  return (value != value) | ((best == best) & (largest ? value >= best : value <= best));
}

template <bool largest, class T>
void scan_extreme_row(T* out, int64_t* indices, const T* in, int64_t length) {
  using V = Compared<T>;
  V best = convert<V>(in[0]);
  T stored = in[0];
  int64_t index = 0;
  for (int64_t i = 0; i < length; ++i) {
    const V value = convert<V>(in[i]);
    if (FLAMBEAU_UNLIKELY(!(largest ? value < best : value > best)) && replaces<largest>(value, best)) {
      best = value;
      stored = in[i];
      index = i;
    }
    out[i] = stored;
    indices[i] = index;
  }
}

// If vectors have eight lanes of 64 bits, the following functions process rows of integers with vectors. The last
// vector of a row extends into the next row, whose results overwrite the excess. The functions do not process the last
// rows, which are not followed by enough memory. They return the index of the first row that the caller must process.
constexpr int64_t kPrefetchDistance = 256;  // prefetch distance in elements
typedef int64_t Indices __attribute__((vector_size(64)));
typedef int64_t StoredIndices __attribute__((vector_size(64), aligned(8), may_alias));

template <class T>
inline constexpr bool by_vectors = std::is_integral_v<T> && kVectorBytes == 64;

FLAMBEAU_INLINE bool fits(int64_t row, int64_t length, int64_t step, int64_t rows) {
  return row * length + (length + step - 1) / step * step <= rows * length;
}
template <bool largest, class V>
FLAMBEAU_INLINE V better_of(V a, V b) {
  return largest ? (a < b ? b : a) : (a > b ? b : a);
}
// Returns the cumulative extremes of the lanes of v, continued from the last lane of `before`.
template <bool largest, class V>
FLAMBEAU_INLINE V running_lanes(V v, V before) {
  v = better_of<largest>(v, shuffled<0, 0, 1, 2, 3, 4, 5, 6>(v, v));
  v = better_of<largest>(v, shuffled<0, 0, 0, 1, 2, 3, 4, 5>(v, v));
  v = better_of<largest>(v, shuffled<0, 0, 0, 0, 0, 1, 2, 3>(v, v));
  return better_of<largest>(v, shuffled<7, 7, 7, 7, 7, 7, 7, 7>(before, before));
}

// The positions are also a cumulative maximum: the maximum of the positions of elements that are equal to the current
// extreme.
template <bool largest, class T>
int64_t scan_extreme_vectors(T* out, int64_t* indices, const T* in, int64_t length, int64_t rows) {
  using Rank = std::conditional_t<std::is_same_v<T, uint64_t>, uint64_t, int64_t>;
  typedef T Elements __attribute__((vector_size(8 * sizeof(T)), aligned(sizeof(T)), may_alias));
  typedef Rank Ranks __attribute__((vector_size(64)));
  int64_t r = 0;
  for (; fits(r, length, 8, rows); ++r) {
    const int64_t first = r * length;
    Ranks best = Ranks{} + Rank(in[first]);
    Indices index{};
    for (int64_t i = first, k = 0; k < length; k += 8, i += 8) {
      __builtin_prefetch(out + i + kPrefetchDistance, 1);
      __builtin_prefetch(indices + i + kPrefetchDistance, 1);
      const Ranks value = __builtin_convertvector(*reinterpret_cast<const Elements*>(in + i), Ranks);
      best = running_lanes<largest>(value, best);
      index = running_lanes<true>(value == best ? Indices{0, 1, 2, 3, 4, 5, 6, 7} + k : Indices{}, index);
      *reinterpret_cast<Elements*>(out + i) = __builtin_convertvector(best, Elements);
      *reinterpret_cast<StoredIndices*>(indices + i) = index;
    }
  }
  return r;
}
// Represents an element by an integer with the 32-bit number in the upper half and the position in the lower half. The
// last of equal numbers is kept.
template <bool largest>
int64_t scan_extreme_pairs(int32_t* out, int64_t* indices, const int32_t* in, int64_t length, int64_t rows) {
  typedef int32_t Elements __attribute__((vector_size(64), aligned(4), may_alias));
  typedef int32_t Halves __attribute__((vector_size(64)));
  constexpr int64_t kIndexMask = 0xffffffff;
  const auto indices_of = [](auto pair)
                              __attribute__((always_inline)) { return (largest ? pair : ~pair) & kIndexMask; };
  int64_t r = 0;
  for (; fits(r, length, 16, rows); ++r) {
    const int64_t first = r * length;
    Indices low, high = Indices{} + (int64_t(in[first]) * (kIndexMask + 1) + (largest ? 0 : kIndexMask));
    for (int64_t i = first, k = 0; k < length; k += 16, i += 16) {
      __builtin_prefetch(out + i + kPrefetchDistance, 1);
      __builtin_prefetch(indices + i + kPrefetchDistance, 1);
      __builtin_prefetch(indices + i + kPrefetchDistance + 8, 1);
      const Halves value = *reinterpret_cast<const Elements*>(in + i);
      const Halves own = Halves{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} + int32_t(k),
                   index = largest ? own : ~own;
      low = running_lanes<largest>(
          Indices(shuffled<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(index, value)), high);
      high = running_lanes<largest>(
          Indices(shuffled<8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31>(index, value)), low);
      *reinterpret_cast<Elements*>(out + i) =
          shuffled<1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31>(Halves(low), Halves(high));
      *reinterpret_cast<StoredIndices*>(indices + i) = indices_of(low);
      *reinterpret_cast<StoredIndices*>(indices + i + 8) = indices_of(high);
    }
  }
  return r;
}

// Returns a number that orders elements: an element replaces the current extreme if its number is at least as large.
template <bool largest, class T>
FLAMBEAU_INLINE auto rank_of(T value) {
  if constexpr (std::is_integral_v<T>) {
    return largest ? value : T(~value);
  } else {
    const auto bits = bit_cast<order::BitsOf<T>>(value);
    return order::key_of<T>(largest ? bits : order::BitsOf<T>(bits ^ order::kSign<T>));
  }
}
// Returns b if `second` is true, otherwise a. Prevents the compiler from using a branch.
template <class I>
FLAMBEAU_INLINE I choose(bool second, I a, I b) {
  return I(a ^ ((a ^ b) & I(-I(second))));
}
// Processes several short rows together, because in short rows the extreme changes often.
template <bool largest, class T>
int64_t scan_extreme_chains(T* out, int64_t* indices, const T* in, int64_t length, int64_t rows) {
  constexpr int64_t kLongRow = 64, kRowsAtOnce = 4;
  using Bits = order::BitsOf<T>;
  int64_t r = 0;
  for (; length < kLongRow && r + kRowsAtOnce <= rows; r += kRowsAtOnce) {
    const int64_t first = r * length;
    Bits best[kRowsAtOnce];
    decltype(rank_of<largest>(T())) rank[kRowsAtOnce];
    int64_t index[kRowsAtOnce] = {};
    for (int64_t j = 0; j < kRowsAtOnce; ++j) {
      best[j] = bit_cast<Bits>(in[first + j * length]);
      rank[j] = rank_of<largest>(in[first + j * length]);
    }
    for (int64_t k = 0; k < length; ++k)
#pragma GCC unroll 4
      for (int64_t j = 0; j < kRowsAtOnce; ++j) {
        const int64_t at = first + j * length + k;
        const auto own = rank_of<largest>(in[at]);
        const bool better = own >= rank[j];
        rank[j] = choose(better, rank[j], own);
        index[j] = choose(better, index[j], k);
        if constexpr (std::is_integral_v<T>) {
          out[at] = largest ? rank[j] : T(~rank[j]);
        } else {
          best[j] = choose(better, best[j], bit_cast<Bits>(in[at]));
          out[at] = bit_cast<T>(best[j]);
        }
        indices[at] = index[j];
      }
  }
  return r;
}

// Scans the columns [0, width) of rows that are `inner` elements apart or, if inner is 1, `width` contiguous rows.
template <bool largest, class T>
void scan_extreme(char* out_bytes, int64_t* indices, const char* in_bytes, int64_t length, int64_t inner,
                  int64_t width) {
  T* out = reinterpret_cast<T*>(out_bytes);
  const T* in = reinterpret_cast<const T*>(in_bytes);
  if (inner == 1) {
    int64_t r = 0;
    if constexpr (by_vectors<T> && std::is_same_v<T, int32_t>)
      r = length >> 31 ? 0 : scan_extreme_pairs<largest>(out, indices, in, length, width);
    else if constexpr (by_vectors<T>)
      r = scan_extreme_vectors<largest>(out, indices, in, length, width);
    else
      r = scan_extreme_chains<largest>(out, indices, in, length, width);
    for (; r < width; ++r) scan_extreme_row<largest>(out + r * length, indices + r * length, in + r * length, length);
    return;
  }
  for (int64_t i = 0; i < width; ++i) {
    out[i] = in[i];
    indices[i] = 0;
  }
  for (int64_t k = 1; k < length; ++k)
    for (int64_t i = k * inner; i < k * inner + width; ++i) {
      const T best = out[i - inner], value = in[i];
      const bool better = replaces<largest>(convert<Compared<T>>(value), convert<Compared<T>>(best));
      out[i] = better ? value : best;
      indices[i] = better ? k : indices[i - inner];
    }
}

template <class T, class TableOfDtypes, class Index>
void fill_type(TableOfDtypes& table, Index type) {
  table.cummax[int(type)] = scan_extreme<true, T>;
  table.cummin[int(type)] = scan_extreme<false, T>;
}

}  // namespace

void fill_running_extremes(Table& table, NarrowTable& narrow) {
  fill_type<int32_t>(table, Compute::i32);
  fill_type<int64_t>(table, Compute::i64);
  fill_type<uint64_t>(table, Compute::u64);
  fill_type<float>(table, Compute::f32);
  fill_type<double>(table, Compute::f64);
  fill_type<int8_t>(narrow, Narrow::i8);
  fill_type<uint8_t>(narrow, Narrow::u8);
  fill_type<int16_t>(narrow, Narrow::i16);
  fill_type<bfloat16>(narrow, Narrow::bf16);
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
