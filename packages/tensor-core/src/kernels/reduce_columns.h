// Reductions along the columns of a block. Note [Reducing]
#pragma once

#include <cstring>

#include "kernels/element_rows.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

inline constexpr int64_t kTile = 256;        // columns that are accumulated together
inline constexpr int64_t kTileRows = 64;     // rows that are summed before they are added to the total
inline constexpr int64_t kOrderedRows = 16;  // at most this many rows are added one after the other, as a loop would
inline constexpr int64_t kColumnBlock = 16;  // columns that are joined together, in a loop of constant length

// Fills `count` elements of a tile, which is padded to a multiple of kColumnBlock.
template <class Part>
FLAMBEAU_INLINE void fill_tile(Part* to, int64_t count, Part value) {
  for (int64_t i = 0; i < count; i += kColumnBlock)
    for (int64_t j = 0; j < kColumnBlock; ++j) to[i + j] = value;
}
// Joins a tile's partial results to the totals. Both are padded to a multiple of kColumnBlock.
template <class Join, class Result, class Leaf>
[[gnu::noinline]] void join_tile(Result* total, const Leaf* partial, int64_t count) {
  for (int64_t i = 0; i < count; i += kColumnBlock)
    for (int64_t j = 0; j < kColumnBlock; ++j) total[i + j] = Join::join(total[i + j], Result(partial[i + j]));
}

// Reduces the columns [0, width) of rows that are `inner` elements apart, one tile at a time. `out` has one element for
// each column.
template <class Op, class Source>
void reduce_columns(typename Op::Result* out, Source in, int64_t length, int64_t inner, int64_t width) {
  using Leaf = typename Op::Leaf;
  using Result = typename Op::Result;
  using Join = typename Op::Join;
  typename Source::Buffer buffers[4][Source::kBuffered ? kTile : 1];
  const auto map = [](auto v) __attribute__((always_inline)) { return Op::map(Source::value(v)); };
  for (int64_t first = 0; first < width; first += kTile) {
    const int64_t count = width - first < kTile ? width - first : kTile;
    Result total[kTile];
    fill_tile(total, count, Op::template identity<Result>());
    for (int64_t row = 0; row < length; row += kTileRows) {
      Leaf partial[kTile];
      fill_tile(partial, count, Op::template identity<Leaf>());
      const int64_t stop = row + kTileRows < length ? row + kTileRows : length;
      const auto row_at = [&](int64_t k, int64_t j)
                              __attribute__((always_inline)) { return in.row(k * inner + first, count, buffers[j]); };
      int64_t k = row;
      for (; Op::kPairs && k + 4 <= stop; k += 4) {
        const auto *a = row_at(k, 0), *b = row_at(k + 1, 1), *c = row_at(k + 2, 2), *d = row_at(k + 3, 3);
        if (length <= kOrderedRows)
          for (int64_t i = 0; i < count; ++i)
            partial[i] = Op::join(Op::join(Op::join(Op::join(partial[i], map(a[i])), map(b[i])), map(c[i])), map(d[i]));
        else
          for (int64_t i = 0; i < count; ++i)
            partial[i] = Op::join(partial[i], Op::join(Op::join(map(a[i]), map(b[i])), Op::join(map(c[i]), map(d[i]))));
      }
      for (; k < stop; ++k) {
        const auto* a = row_at(k, 0);
        for (int64_t i = 0; i < count; ++i) partial[i] = Op::join(partial[i], map(a[i]));
      }
      join_tile<Join>(total, partial, count);
    }
    std::memcpy(out + first, total, size_t(count) * sizeof(Result));
  }
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
