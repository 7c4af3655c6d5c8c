// One pass of a stable radix sort. The first pass sorts by the least significant digit. `count` counts each digit in a
// tile. After a cumulative sum of the counts, `scatter` moves each key of the tile to its position. Keys with equal
// digits keep their order: a warp ranks 32 adjacent keys at a time.
#pragma once

#include "device/reductions/running_sums.h"
#include "device/sorting/sorting_arguments.h"

namespace flambeau::cuda {

template <class K>
struct Radix {
  static constexpr int kDigits = 256;
  static_assert(kDigits == kSumThreads, "a thread looks after a digit");

  static unsigned digit(K key, int shift) { return unsigned(key >> shift) & (kDigits - 1); }

  static void count(const RadixArguments& a) {
    __shared__ unsigned counts[kDigits];
    const int64_t row = blockIdx.x / a.tiles, tile = blockIdx.x - row * a.tiles;
    const K* keys = static_cast<const K*>(a.keys) + row * a.length;
    counts[threadIdx.x] = 0;
    __syncthreads();
    for (int j = 0; j < kSumItems; ++j)
      if (const int64_t i = tile * kTile + j * kSumThreads + threadIdx.x; i < a.length)
        atomicAdd(&counts[digit(keys[i], a.shift)], 1u);
    __syncthreads();
    a.counts[(row * kDigits + threadIdx.x) * a.tiles + tile] = counts[threadIdx.x];
  }

  static void scatter(const RadixArguments& a) {
    __shared__ unsigned counts[kWarps][kDigits];
    __shared__ unsigned first[kDigits], room[kWarps];
    __shared__ int64_t base[kDigits];
    alignas(16) __shared__ K keys[kTile];
    __shared__ uint32_t positions[kTile];
    const int64_t row = blockIdx.x / a.tiles, tile = blockIdx.x - row * a.tiles, start = tile * kTile;
    const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const K* in = static_cast<const K*>(a.keys) + row * a.length;
    for (int w = 0; w < kWarps; ++w) counts[w][threadIdx.x] = 0;
    __syncthreads();

    K own[kSumItems];
    unsigned rank[kSumItems];
    for (int j = 0; j < kSumItems; ++j) {
      const int64_t i = start + warp * (32 * kSumItems) + j * 32 + lane;
      const bool valid = i < a.length;
      own[j] = valid ? in[i] : K(0);
      const unsigned d = digit(own[j], a.shift), peers = __match_any_sync(~0u, valid ? d : unsigned(kDigits));
      const unsigned before = counts[warp][d], same_before = __popc(peers & ((1u << lane) - 1));
      __syncwarp();
      if (valid && same_before == 0) counts[warp][d] = before + __popc(peers);
      __syncwarp();
      rank[j] = before + same_before;
    }
    __syncthreads();

    unsigned total = 0, all;
    for (int w = 0; w < kWarps; ++w) {
      const unsigned count = counts[w][threadIdx.x];
      counts[w][threadIdx.x] = total;
      total += count;
    }
    first[threadIdx.x] = sum_before(total, room, all);
    base[threadIdx.x] = a.counts[(row * kDigits + threadIdx.x) * a.tiles + tile] - int64_t(first[threadIdx.x]);
    __syncthreads();

    for (int j = 0; j < kSumItems; ++j) {
      const int64_t i = start + warp * (32 * kSumItems) + j * 32 + lane;
      if (i >= a.length) continue;
      const unsigned d = digit(own[j], a.shift), local = first[d] + counts[warp][d] + rank[j];
      keys[local] = own[j];
      positions[local] = a.positions ? a.positions[row * a.length + i] : uint32_t(i);
    }
    __syncthreads();

    for (int j = 0; j < kSumItems; ++j) {
      const int local = j * kSumThreads + int(threadIdx.x);
      if (start + local >= a.length) continue;
      const int64_t to = base[digit(keys[local], a.shift)] + local;
      static_cast<K*>(a.keys_out)[to] = keys[local];
      a.positions_out[to] = positions[local];
    }
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_RADIX(K)                                                                                         \
  FLAMBEAU_COOPERATIVE_KERNEL(count, flambeau::cuda::RadixArguments, 256) { flambeau::cuda::Radix<K>::count(a); } \
  FLAMBEAU_COOPERATIVE_KERNEL(scatter, flambeau::cuda::RadixArguments, 256) { flambeau::cuda::Radix<K>::scatter(a); }
