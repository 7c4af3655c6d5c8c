// Products of matrices by tiles in shared memory: what the matrix product and the convolutions have in common.
//
// Note [Tiles]
// A block of 256 threads computes a tile of the result. It goes through its part of k in steps: a step's rows and
// columns lie in shared memory, while those of the next are on their way in registers; every thread multiplies what its
// own square of the tile needs. Where tiles are few and k is long, k is divided into parts, whose sums are added in
// their order by a second kernel (`combine`). How a problem is divided depends on its shape alone, so the same numbers
// come out on every card.
//
// A Problem says what is multiplied:
//   V, Arguments           what is computed in; a struct with division and partial
//   kRows, kColumns        of a tile
//   Left(a, batch, i)      a place in a row of the left matrix; at(a, p) gives its element
//   Right(a, batch, j)     the same in a column of the right one
//   kColumnsOnly           whether right_along_k() is always false
//   left_along_k(a), right_along_k(a)   whether neighbours in memory are neighbours along k
//   store(a, batch, i, j, value)
//
// Tiles waste what of them is outside a narrow result. There `elements` has a thread for each element, and `sums` a
// block, whose threads share k.
#pragma once

#include "flambeau/device/kernel.h"
#include "flambeau/device/tile_arguments.h"
#include "flambeau/element.h"

namespace flambeau::cuda {

// What products of elements are accumulated in.
template <class T>
struct Accumulator {
  using type = T;
};
template <>
struct Accumulator<float16> {
  using type = float;
};
template <>
struct Accumulator<bfloat16> {
  using type = float;
};
template <>
struct Accumulator<bool> {
  using type = uint64_t;
};
template <>
struct Accumulator<uint8_t> {
  using type = uint32_t;
};
template <>
struct Accumulator<int8_t> {
  using type = uint32_t;
};
template <>
struct Accumulator<uint16_t> {
  using type = uint32_t;
};
template <>
struct Accumulator<int16_t> {
  using type = uint32_t;
};
template <>
struct Accumulator<int32_t> {
  using type = uint32_t;
};
template <>
struct Accumulator<int64_t> {
  using type = uint64_t;
};

template <class V>
struct alignas(4 * sizeof(V) < 16 ? 4 * sizeof(V) : 16) Four {
  V values[4];
};

inline constexpr int kTileThreads = 256;

template <class Problem>
struct Tile {
  using V = typename Problem::V;
  using Arguments = typename Problem::Arguments;
  static constexpr int kRows = Problem::kRows, kColumns = Problem::kColumns;
  static constexpr int kDepth = sizeof(V) > 8 || kRows > 64 ? 8 : 16;  // of k, a step
  static constexpr int kHigh = kRows / 64, kWide = kColumns / 64;      // squares of 4 x 4 that a thread has
  static constexpr int kPad = 4;
  static constexpr int kLeft = kRows * kDepth / kTileThreads, kRight = kColumns * kDepth / kTileThreads;

  struct Shared {
    V left[kDepth][kRows + kPad], right[kDepth][kColumns + kPad];
  };
  struct Block {
    int64_t row, column, batch, part;
    explicit Block(const Division& d) {
      int64_t at = blockIdx.x;
      column = at % d.columns, at /= d.columns;
      row = at % d.rows, at /= d.rows;
      batch = at % d.batch, part = at / d.batch;
    }
  };
  // Where the element that this thread brings in its turn `s` is in the tile: along the matrix, and along k.
  template <int kSize>
  static int along(bool k_first, int s) {
    const int e = int(threadIdx.x) + s * kTileThreads;
    return k_first ? e / kDepth : e % kSize;
  }
  template <int kSize>
  static int deep(bool k_first, int s) {
    const int e = int(threadIdx.x) + s * kTileThreads;
    return k_first ? e % kDepth : e / kSize;
  }

  // One matrix's elements, on their way to shared memory. Where it never goes along k first, a thread's are all of one
  // row or column (kOne).
  template <class Place, int kSize, int kCount, bool kOne>
  struct Stream {
    static constexpr int kPlaces = kOne ? 1 : kCount;
    static_assert(!kOne || kTileThreads % kSize == 0);
    Place places[kPlaces];
    V values[kCount];
    bool k_first, inside[kPlaces];

    void begin(const Arguments& a, int64_t batch, int64_t first, int64_t size, bool first_k) {
      k_first = !kOne && first_k;
#pragma unroll
      for (int s = 0; s < kPlaces; ++s) {
        const int64_t i = first + along<kSize>(k_first, s);
        inside[s] = i < size;
        places[s] = Place(a, batch, inside[s] ? i : 0);
      }
    }
    void fetch(const Arguments& a, int64_t k, int64_t end) {
#pragma unroll
      for (int s = 0; s < kCount; ++s) {
        const int64_t p = k + deep<kSize>(k_first, s);
        const int which = kOne ? 0 : s;
        values[s] = inside[which] && p < end ? places[which].at(a, p) : V(0);
      }
    }
    template <class Row>
    void put(Row* rows) const {
#pragma unroll
      for (int s = 0; s < kCount; ++s) rows[deep<kSize>(k_first, s)][along<kSize>(k_first, s)] = values[s];
    }
  };

  static void multiply(const Shared& shared, V (&sums)[kHigh * 4][kWide * 4]) {
    const int y = int(threadIdx.x) / 16 * 4, x = int(threadIdx.x) % 16 * 4;
#pragma unroll
    for (int p = 0; p < kDepth; ++p) {
      V left[kHigh * 4], right[kWide * 4];
#pragma unroll
      for (int h = 0; h < kHigh; ++h) {
        const auto four = *reinterpret_cast<const Four<V>*>(&shared.left[p][h * 64 + y]);
#pragma unroll
        for (int r = 0; r < 4; ++r) left[h * 4 + r] = four.values[r];
      }
#pragma unroll
      for (int w = 0; w < kWide; ++w) {
        const auto four = *reinterpret_cast<const Four<V>*>(&shared.right[p][w * 64 + x]);
#pragma unroll
        for (int c = 0; c < 4; ++c) right[w * 4 + c] = four.values[c];
      }
#pragma unroll
      for (int r = 0; r < kHigh * 4; ++r)
#pragma unroll
        for (int c = 0; c < kWide * 4; ++c) sums[r][c] += left[r] * right[c];
    }
  }

  static void run(const Arguments& a) {
    __shared__ __align__(16) char room[sizeof(Shared)];
    Shared& shared = *reinterpret_cast<Shared*>(room);
    const Division& d = a.division;
    const Block block(d);
    const int64_t first_row = block.row * kRows, first_column = block.column * kColumns;
    int64_t k = block.part * d.part_length;
    const int64_t end = k + d.part_length < d.k ? k + d.part_length : d.k;
    Stream<typename Problem::Left, kRows, kLeft, false> left;
    Stream<typename Problem::Right, kColumns, kRight, Problem::kColumnsOnly> right;
    left.begin(a, block.batch, first_row, d.m, Problem::left_along_k(a));
    right.begin(a, block.batch, first_column, d.n, Problem::right_along_k(a));
    V sums[kHigh * 4][kWide * 4];
#pragma unroll
    for (int r = 0; r < kHigh * 4; ++r)
#pragma unroll
      for (int c = 0; c < kWide * 4; ++c) sums[r][c] = V(0);
    left.fetch(a, k, end), right.fetch(a, k, end);
    for (; k < end; k += kDepth) {
      left.put(shared.left), right.put(shared.right);
      __syncthreads();
      left.fetch(a, k + kDepth, end), right.fetch(a, k + kDepth, end);
      multiply(shared, sums);
      __syncthreads();
    }
    const int y = int(threadIdx.x) / 16 * 4, x = int(threadIdx.x) % 16 * 4;
#pragma unroll
    for (int r = 0; r < kHigh * 4; ++r) {
      const int64_t i = first_row + r / 4 * 64 + y + r % 4;
#pragma unroll
      for (int c = 0; c < kWide * 4; ++c) {
        const int64_t j = first_column + c / 4 * 64 + x + c % 4;
        if (i >= d.m || j >= d.n) continue;
        if (a.partial)
          reinterpret_cast<V*>(a.partial)[((block.part * d.batch + block.batch) * d.m + i) * d.n + j] = sums[r][c];
        else
          Problem::store(a, block.batch, i, j, sums[r][c]);
      }
    }
  }

  static void combine(const Arguments& a) {
    const Division& d = a.division;
    const int64_t at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (at >= d.elements()) return;
    V sum = V(0);
    for (int64_t part = 0; part < d.parts; ++part)
      sum += reinterpret_cast<const V*>(a.partial)[part * d.elements() + at];
    Problem::store(a, at / d.n / d.m, at / d.n % d.m, at % d.n, sum);
  }

  static V part_of_sum(const Arguments& a, int64_t batch, int64_t i, int64_t j, int64_t first, int64_t step) {
    const typename Problem::Left left(a, batch, i);
    const typename Problem::Right right(a, batch, j);
    V sum = V(0);
    for (int64_t p = first; p < a.division.k; p += step) sum += left.at(a, p) * right.at(a, p);
    return sum;
  }
  static void elements(const Arguments& a) {
    const Division& d = a.division;
    const int64_t at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (at >= d.elements()) return;
    const int64_t batch = at / d.n / d.m, i = at / d.n % d.m, j = at % d.n;
    Problem::store(a, batch, i, j, part_of_sum(a, batch, i, j, 0, 1));
  }
  static void sums(const Arguments& a) {
    __shared__ __align__(16) char room[kTileThreads * sizeof(V)];
    V* shared = reinterpret_cast<V*>(room);
    const Division& d = a.division;
    const int64_t at = blockIdx.x, batch = at / d.n / d.m, i = at / d.n % d.m, j = at % d.n;
    const int thread = int(threadIdx.x);
    shared[thread] = part_of_sum(a, batch, i, j, thread, kTileThreads);
    for (int half = kTileThreads / 2; half > 0; half /= 2) {
      __syncthreads();
      if (thread < half) shared[thread] += shared[thread + half];
    }
    if (thread == 0) Problem::store(a, batch, i, j, shared[0]);
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_TILES(...)                                                                                 \
  using TilesOf = flambeau::cuda::Tile<__VA_ARGS__>;                                                        \
  FLAMBEAU_COOPERATIVE_KERNEL(tiles, TilesOf::Arguments, flambeau::cuda::kTileThreads) { TilesOf::run(a); } \
  FLAMBEAU_KERNEL(combine, TilesOf::Arguments) { TilesOf::combine(a); }                                     \
  FLAMBEAU_KERNEL(elements, TilesOf::Arguments) { TilesOf::elements(a); }                                   \
  FLAMBEAU_COOPERATIVE_KERNEL(sums, TilesOf::Arguments, flambeau::cuda::kTileThreads) { TilesOf::sums(a); }
