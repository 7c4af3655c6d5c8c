// Reads and writes elements at computed positions. A module invokes one of
//
//   FLAMBEAU_OFFSETS             kernels that convert an index to offsets (`pick`, `locate`) or row numbers (`rows`)
//   FLAMBEAU_WORDS(W)            copies of words of 1, 2, 4, 8 or 16 bytes: `load`, `store`, `gather`
//   FLAMBEAU_COMBINE(T, how)     kernels that combine elements with the elements of the destination: `columns`,
//                                `segments`, `walk`
//
// No two threads write the same element, and a thread that combines several values into an element does so in the order
// of the values. Therefore the results are deterministic.
#pragma once

#include "device/elementwise/halves.h"
#include "device/indexing/indexing_arguments.h"
#include "device/threads/kernel.h"
#include "flambeau/kernels/combine.h"

namespace flambeau::cuda {

struct alignas(16) Word16 {
  uint64_t low, high;
};

inline int64_t quotient(int64_t n, int64_t divisor) {  // for nonnegative integers
  return ((n | divisor) >> 32) == 0 ? int64_t(uint32_t(n) / uint32_t(divisor)) : n / divisor;
}
inline int64_t offset_at(const Extents& e, int64_t position) {
  int64_t offset = 0;
  for (int d = e.dims - 1; d > 0; --d) {
    const int64_t next = quotient(position, e.size[d]);
    offset += (position - next * e.size[d]) * e.stride[d];
    position = next;
  }
  return e.dims ? offset + position * e.stride[0] : offset;
}

inline int64_t thread_number() { return int64_t(blockIdx.x) * blockDim.x + threadIdx.x; }

// Coordinates of the element with linear index i in the order (outer, count, inner).
struct BlockPosition {
  int64_t outer, k, inner;
};
inline BlockPosition block_position(const BlockArguments& a, int64_t i) {
  const int64_t row = quotient(i, a.inner), outer = quotient(row, a.count);
  return {outer, row - outer * a.count, i - row * a.inner};
}
inline int64_t offset_of(const BlockArguments& a, int64_t k) {
  return a.offsets ? a.offsets[k] : int64_t(a.rows[k]) * a.step;
}
inline char* address(const BlockArguments& a, const BlockPosition& p) {
  return a.blocks + offset_at(a.outer_dims, p.outer) + offset_of(a, p.k) * a.item + offset_at(a.inner_dims, p.inner);
}

// Byte offsets for one step of a loop: in the tensor that is read or written (`other`), in the index and in the indexed
// tensor.
struct Steps {
  int64_t other = 0, index = 0, element = 0;
};
inline Steps steps_at(const WalkArguments& a, int64_t i) {
  Steps s;
  uint32_t left = uint32_t(i);
  for (int d = 0; d < a.dims; ++d) {
    const uint32_t next = d + 1 < a.dims ? a.sizes[d].quotient(left) : 0;
    const int64_t position = left - next * a.sizes[d].divisor;
    s.other += a.strides[0][d] * position;
    s.index += a.strides[1][d] * position;
    s.element += a.strides[2][d] * position;
    left = next;
  }
  return s;
}
inline int64_t entry_at(const WalkArguments& a, int64_t offset) {
  return checked_index(a.reporter, *reinterpret_cast<const int64_t*>(a.index + offset), a.size, false);
}

inline void pick_offset(const PickArguments& a) {
  const int64_t i = thread_number();
  if (i >= a.count) return;
  const int64_t offset = checked_index(a.reporter, a.index[i], a.size, a.wraps) * a.stride;
  a.offsets[i] = a.adds ? a.offsets[i] + offset : offset;
}
inline void number_row(const RowArguments& a) {
  const int64_t i = thread_number();
  if (i < a.count) a.rows[i] = uint32_t(quotient(a.offsets[i], a.step));
}
inline void locate_element(const WalkArguments& a) {
  const int64_t i = thread_number();
  if (i >= a.count) return;
  const Steps s = steps_at(a, i);
  *reinterpret_cast<int64_t*>(a.others + s.other) = (a.begin + s.element + entry_at(a, s.index) * a.stride) / a.item;
}

template <class W>
struct Words {
  static constexpr int kEach = 4;

  static void load(const BlockArguments& a) {
    const int64_t total = a.outer * a.count * a.inner;
    const int64_t first = int64_t(blockIdx.x) * blockDim.x * kEach + threadIdx.x;
    W words[kEach];
#pragma unroll
    for (int j = 0; j < kEach; ++j)
      if (const int64_t i = first + int64_t(j) * blockDim.x; i < total)
        words[j] = *reinterpret_cast<const W*>(address(a, block_position(a, i)));
#pragma unroll
    for (int j = 0; j < kEach; ++j)
      if (const int64_t i = first + int64_t(j) * blockDim.x; i < total) reinterpret_cast<W*>(a.values)[i] = words[j];
  }
  // Equal offsets are adjacent. Only the last value of equal offsets is stored.
  static void store(const BlockArguments& a) {
    const int64_t i = thread_number();
    if (i >= a.outer * a.count * a.inner) return;
    const BlockPosition p = block_position(a, i);
    if (a.positions && p.k + 1 < a.count && offset_of(a, p.k + 1) == offset_of(a, p.k)) return;
    const int64_t from = a.positions ? (p.outer * a.count + a.positions[p.k]) * a.inner + p.inner : i;
    *reinterpret_cast<W*>(address(a, p)) = reinterpret_cast<const W*>(a.values)[a.one ? 0 : from];
  }
  static void gather(const WalkArguments& a) {
    const int64_t i = thread_number();
    if (i >= a.count) return;
    const Steps s = steps_at(a, i);
    const char* from = a.elements + s.element + entry_at(a, s.index) * a.stride;
    *reinterpret_cast<W*>(a.others + s.other) = *reinterpret_cast<const W*>(from);
  }
};

template <class T, Combine c>
struct Combining {
  using S = Stored<T>;

  // Each thread computes one element of a block and loops over all offsets.
  static void columns(const BlockArguments& a) {
    const int64_t i = thread_number();
    if (i >= a.outer * a.inner) return;
    const int64_t outer = quotient(i, a.inner), inner = i - outer * a.inner;
    char* base = a.blocks + offset_at(a.outer_dims, outer) + offset_at(a.inner_dims, inner);
    const S* from = reinterpret_cast<const S*>(a.values) + (a.one ? 0 : outer * a.count * a.inner + inner);
    for (int64_t k = 0; k < a.count; ++k, from += a.one ? 0 : a.inner) {
      S& to = *reinterpret_cast<S*>(base + offset_of(a, k) * a.item);
      to = combine<c, T>(to, *from);
    }
  }
  // Each thread computes one written element. Equal offsets are adjacent. The thread of the first of them adds all
  // values of these offsets in order, and meanwhile prefetches the next kAhead values.
  static void segments(const BlockArguments& a) {
    constexpr int kAhead = 8;
    const int64_t i = thread_number();
    if (i >= a.outer * a.count * a.inner) return;
    const BlockPosition p = block_position(a, i);
    if (a.positions && p.k > 0 && offset_of(a, p.k - 1) == offset_of(a, p.k)) return;
    const S* values = reinterpret_cast<const S*>(a.values);
    const auto value_of = [&](int64_t k) {
      const int64_t from = (p.outer * a.count + (a.positions ? a.positions[k] : k)) * a.inner + p.inner;
      return values[a.one ? 0 : from];
    };
    S* to = reinterpret_cast<S*>(address(a, p));
    S result = *to;
    int64_t k = p.k;
    const int64_t end = a.positions ? end_of_segment(a, k) : k + 1;
    for (; k + kAhead <= end; k += kAhead) {
      S ahead[kAhead];
#pragma unroll
      for (int j = 0; j < kAhead; ++j) ahead[j] = value_of(k + j);
#pragma unroll
      for (int j = 0; j < kAhead; ++j) result = combine<c, T>(result, ahead[j]);
    }
    for (; k < end; ++k) result = combine<c, T>(result, value_of(k));
    *to = result;
  }
  // Returns the end of the range of offsets that are equal to the offset at `first`. Uses exponential and binary
  // search.
  static int64_t end_of_segment(const BlockArguments& a, int64_t first) {
    const int64_t offset = offset_of(a, first);
    const auto same = [&](int64_t k) { return k < a.count && offset_of(a, k) == offset; };
    int64_t step = 1, last = first;
    for (; same(last + step); step *= 2) last += step;
    for (; step > 0; step /= 2)
      if (same(last + step)) last += step;
    return last + 1;
  }
  // Each thread processes one line along the indexed dimension.
  static void walk(const WalkArguments& a) {
    const int64_t i = thread_number();
    if (i >= a.count) return;
    Steps s = steps_at(a, i);
    for (int64_t k = 0; k < a.length; ++k, s.other += a.other_step, s.index += a.index_step) {
      S& to = *reinterpret_cast<S*>(a.elements + s.element + entry_at(a, s.index) * a.stride);
      to = combine<c, T>(to, *reinterpret_cast<const S*>(a.others + s.other));
    }
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_OFFSETS                                                                        \
  FLAMBEAU_KERNEL(pick, flambeau::cuda::PickArguments) { flambeau::cuda::pick_offset(a); }      \
  FLAMBEAU_KERNEL(locate, flambeau::cuda::WalkArguments) { flambeau::cuda::locate_element(a); } \
  FLAMBEAU_KERNEL(rows, flambeau::cuda::RowArguments) { flambeau::cuda::number_row(a); }
#define FLAMBEAU_WORDS(W)                                                                        \
  FLAMBEAU_KERNEL(load, flambeau::cuda::BlockArguments) { flambeau::cuda::Words<W>::load(a); }   \
  FLAMBEAU_KERNEL(store, flambeau::cuda::BlockArguments) { flambeau::cuda::Words<W>::store(a); } \
  FLAMBEAU_KERNEL(gather, flambeau::cuda::WalkArguments) { flambeau::cuda::Words<W>::gather(a); }
#define FLAMBEAU_COMBINE(T, how)                                                            \
  using UnitCombining = flambeau::cuda::Combining<T, flambeau::Combine::how>;               \
  FLAMBEAU_KERNEL(columns, flambeau::cuda::BlockArguments) { UnitCombining::columns(a); }   \
  FLAMBEAU_KERNEL(segments, flambeau::cuda::BlockArguments) { UnitCombining::segments(a); } \
  FLAMBEAU_KERNEL(walk, flambeau::cuda::WalkArguments) { UnitCombining::walk(a); }
