// Reductions down the columns of a block. Note [Reducing]
#pragma once

#include <cstring>

#include "kernels/element_rows.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

inline constexpr int64_t kTile = 256;     // columns accumulated together
inline constexpr int64_t kTileRows = 64;  // rows added up before they join the total
inline constexpr int64_t kSide = 16;      // columns that are joined without asking how many they are

// A tile's partial results join its totals; both are full to a multiple of kSide.
template <class Part>
FLAMBEAU_INLINE void fill_tile(Part* to, int64_t count, Part value) {
  for (int64_t i = 0; i < count; i += kSide)
    for (int64_t j = 0; j < kSide; ++j) to[i + j] = value;
}
template <class Join, class Result, class Leaf>
[[gnu::noinline]] void join_tile(Result* total, const Leaf* partial, int64_t count) {
  for (int64_t i = 0; i < count; i += kSide)
    for (int64_t j = 0; j < kSide; ++j) total[i + j] = Join::join(total[i + j], Result(partial[i + j]));
}

// Half types of either kind are read as float32, a row at a time.
using Widen = void (*)(float* to, const uint16_t* in, int64_t count);
template <class T>
void widen_row(float* to, const uint16_t* in, int64_t count) {
  read_values<T>(to, reinterpret_cast<const T*>(in), count);
}

// Columns [0, width) of rows `inner` apart, a tile at a time; out has one element for each column.
template <class Op, class T>
void reduce_columns(typename Op::Result* out, const typename Element<T>::Stored* in, int64_t length, int64_t inner,
                    int64_t width, [[maybe_unused]] Widen widen = nullptr) {
  using Leaf = typename Op::Leaf;
  using Result = typename Op::Result;
  using Join = typename Op::Join;
  constexpr bool kWidens = std::is_same_v<T, Widened>;
  float wide[kWidens ? 4 : 1][kTile];
  // Row k from column `first` on.
  const auto row_at = [&](int64_t k, int64_t first, int64_t count, int64_t j) __attribute__((always_inline)) {
    const auto* row = in + k * inner + first;
    if constexpr (kWidens) {
      widen(wide[j], row, count);
      return static_cast<const float*>(wide[j]);
    } else {
      return row;
    }
  };
  const auto map = [](auto v) __attribute__((always_inline)) {
    if constexpr (kWidens)
      return Op::map(v);
    else
      return Op::map(Element<T>::value(v));
  };
  for (int64_t first = 0; first < width; first += kTile) {
    const int64_t count = width - first < kTile ? width - first : kTile;
    Result total[kTile];
    fill_tile(total, count, Op::template identity<Result>());
    for (int64_t row = 0; row < length; row += kTileRows) {
      Leaf partial[kTile];
      fill_tile(partial, count, Op::template identity<Leaf>());
      const int64_t stop = row + kTileRows < length ? row + kTileRows : length;
      int64_t k = row;
      for (; Op::kPairs && k + 4 <= stop; k += 4) {
        const auto *a = row_at(k, first, count, 0), *b = row_at(k + 1, first, count, 1),
                   *c = row_at(k + 2, first, count, 2), *d = row_at(k + 3, first, count, 3);
        for (int64_t i = 0; i < count; ++i)
          partial[i] = Op::join(partial[i], Op::join(Op::join(map(a[i]), map(b[i])), Op::join(map(c[i]), map(d[i]))));
      }
      for (; k < stop; ++k) {
        const auto* a = row_at(k, first, count, 0);
        for (int64_t i = 0; i < count; ++i) partial[i] = Op::join(partial[i], map(a[i]));
      }
      join_tile<Join>(total, partial, count);
    }
    std::memcpy(out + first, total, size_t(count) * sizeof(Result));
  }
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
