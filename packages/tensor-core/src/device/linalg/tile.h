// Products of matrices by tiles in shared memory, for matrix products and convolutions.
//
// Note [Tiles]
// A block of 256 threads computes a tile of the result. It processes its part of k in steps. The rows and columns of a
// step are in shared memory, which has room for two steps. Meanwhile, the rows and columns of the next step are loaded
// into registers. Tensor cores multiply them if they support the type; otherwise the threads do (`Engine`). If there
// are few tiles and k is long, k is divided into parts, and a second kernel (`combine`) adds the sums of the parts in
// order. The division depends only on the shape, so that all GPUs of an architecture compute the same numbers. The
// order of additions within tensor cores is unspecified.
//
// A Problem describes the operands:
//   T, V, Arguments        types of elements and of the computation; a struct with division and partial
//   kRows, kColumns        size of a tile
//   Left(a, batch, i)      a row of the left matrix; at(a, p) returns element p, and take(a, p, end, to) copies the
//                          elements from p on, with zeros from `end` on
//   Right(a, batch, j)     the same for a column of the right matrix
//   kColumnsOnly           true to assign adjacent threads to adjacent columns even if right_along_k() is true
//   left_along_k(a), right_along_k(a)   true if elements that are adjacent in memory are adjacent along k
//   store(a, batch, i, j, value)        stores an element of the result
//
// For narrow results, most of a tile would be unused. There are two other kernels for them: `elements` uses one thread
// per element of the result, and `sums` uses one block per element, whose threads divide k.
#pragma once

#include "device/linalg/unit_tile.h"
#include "device/threads/squares.h"

namespace flambeau::cuda {

inline constexpr int kTileThreads = 256;

template <class T, int kCount>
struct alignas(16) Chunk {
  T values[kCount];
};

// Copies contiguous elements, in one access if they are 16 bytes at an aligned address.
template <class T, int kCount>
void take_contiguous(const T* from, int64_t available, T (&to)[kCount]) {
  if constexpr (kCount * sizeof(T) == 16)
    if (available >= kCount && reinterpret_cast<uintptr_t>(from) % 16 == 0) {
      const auto chunk = *reinterpret_cast<const Chunk<T, kCount>*>(from);
#pragma unroll
      for (int i = 0; i < kCount; ++i) to[i] = chunk.values[i];
      return;
    }
#pragma unroll
  for (int i = 0; i < kCount; ++i) to[i] = i < available ? from[i] : T{};
}

// The representation of elements in shared memory: tensor cores take two-byte types unchanged, and float32 rounded to
// TF32 if kTf32. Otherwise elements are converted to the type of the computation.
template <class T, class V, bool kTf32>
struct SharedElement {
  static constexpr bool kUnits = kHasUnits<T> || (kTf32 && std::is_same_v<T, float> && kAmpere);
  using type = std::conditional_t<kUnits, T, V>;
  static type of(T x) {
    if constexpr (kUnits && std::is_same_v<T, float>)
      return round_to_tf32(x);
    else
      return convert<type>(x);
  }
};

template <class Problem, bool kTf32 = false>
struct Tile {
  using T = typename Problem::T;
  using V = typename Problem::V;
  using Arguments = typename Problem::Arguments;
  using Keep = SharedElement<T, V, kTf32>;
  using E = typename Keep::type;
  static constexpr int kRows = Problem::kRows, kColumns = Problem::kColumns;
  using Engine = std::conditional_t<Keep::kUnits, UnitTile<E, kRows, kColumns>, Squares<E, kRows, kColumns>>;
  static constexpr int kDepth = Engine::kDepth, kChunk = Engine::kChunk;

  struct Shared {
    typename Engine::Left left;
    typename Engine::Right right;
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

  // Copies the elements of one matrix to shared memory through registers, in chunks along k. With kOne, adjacent
  // threads always copy chunks of adjacent rows or columns, and all chunks of a thread are in the same row or column.
  template <class Position, int kSize, bool kOne>
  struct Stream {
    static constexpr int kCount = kSize * kDepth / (kTileThreads * kChunk), kPositions = kOne ? 1 : kCount;
    static_assert(!kOne || kTileThreads % kSize == 0);
    Position positions[kPositions];
    E values[kCount][kChunk];
    bool k_first, inside[kPositions];

    // These functions return the position in the tile of this thread's chunk `s`: along the matrix's rows or columns,
    // and along k.
    int along(int s) const {
      const int chunk = int(threadIdx.x) + s * kTileThreads;
      return k_first ? chunk / (kDepth / kChunk) : chunk % kSize;
    }
    int deep(int s) const {
      const int chunk = int(threadIdx.x) + s * kTileThreads;
      return (k_first ? chunk % (kDepth / kChunk) : chunk / kSize) * kChunk;
    }
    void begin(const Arguments& a, int64_t batch, int64_t first, int64_t size, bool first_k) {
      k_first = !kOne && first_k;
#pragma unroll
      for (int s = 0; s < kPositions; ++s) {
        const int64_t i = first + along(s);
        inside[s] = i < size;
        positions[s] = Position(a, batch, inside[s] ? i : 0);
      }
    }
    void fetch(const Arguments& a, int64_t k, int64_t end) {
#pragma unroll
      for (int s = 0; s < kCount; ++s) {
        const int which = kOne ? 0 : s;
        T taken[kChunk];
        positions[which].take(a, k + deep(s), inside[which] ? end : 0, taken);
#pragma unroll
        for (int i = 0; i < kChunk; ++i) values[s][i] = Keep::of(taken[i]);
      }
    }
    template <class Matrix>
    void put(Matrix& matrix) const {
#pragma unroll
      for (int s = 0; s < kCount; ++s) matrix.put(along(s), deep(s), values[s]);
    }
  };

  static void run(const Arguments& a) {
    __shared__ __align__(16) char room[2 * sizeof(Shared)];
    Shared* const shared = reinterpret_cast<Shared*>(room);
    const Division& d = a.division;
    const Block block(d);
    const int64_t first_row = block.row * kRows, first_column = block.column * kColumns;
    int64_t k = block.part * d.part_length;
    const int64_t end = k + d.part_length < d.k ? k + d.part_length : d.k;
    Stream<typename Problem::Left, kRows, false> left;
    Stream<typename Problem::Right, kColumns, Problem::kColumnsOnly> right;
    left.begin(a, block.batch, first_row, d.m, Problem::left_along_k(a));
    right.begin(a, block.batch, first_column, d.n, Problem::right_along_k(a));
    Engine engine;
    left.fetch(a, k, end), right.fetch(a, k, end);
    for (int buffer = 0; k < end; k += kDepth, buffer ^= 1) {
      Shared& own = shared[buffer];
      left.put(own.left), right.put(own.right);
      __syncthreads();
      if (k + kDepth < end) left.fetch(a, k + kDepth, end), right.fetch(a, k + kDepth, end);
      engine.multiply(own.left, own.right);
    }
    engine.each([&](int row, int column, V sum) {
      const int64_t i = first_row + row, j = first_column + column;
      if (i >= d.m || j >= d.n) return;
      if (a.partial)
        reinterpret_cast<V*>(a.partial)[((block.part * d.batch + block.batch) * d.m + i) * d.n + j] = sum;
      else
        Problem::store(a, block.batch, i, j, sum);
    });
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
    for (int64_t p = first; p < a.division.k; p += step) sum += convert<V>(left.at(a, p)) * convert<V>(right.at(a, p));
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

// The arguments are a Problem and, optionally, a flag that allows float32 to be multiplied as TF32.
#define FLAMBEAU_TILES(...)                                                                                        \
  using TilesOf = flambeau::cuda::Tile<__VA_ARGS__>;                                                               \
  FLAMBEAU_COOPERATIVE_KERNEL(tiles, TilesOf::Arguments, flambeau::cuda::kTileThreads, TilesOf::Engine::kBlocks) { \
    TilesOf::run(a);                                                                                               \
  }                                                                                                                \
  FLAMBEAU_KERNEL(combine, TilesOf::Arguments) { TilesOf::combine(a); }                                            \
  FLAMBEAU_KERNEL(elements, TilesOf::Arguments) { TilesOf::elements(a); }                                          \
  FLAMBEAU_COOPERATIVE_KERNEL(sums, TilesOf::Arguments, flambeau::cuda::kTileThreads) { TilesOf::sums(a); }
