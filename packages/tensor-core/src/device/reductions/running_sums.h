// Cumulative sums within a block of 256 threads, and over tiles of integers. A module invokes FLAMBEAU_RUNNING_SUMS.
#pragma once

#include <cstdint>

#include "device/indexing/indexing_arguments.h"
#include "device/threads/kernel.h"

namespace flambeau::cuda {

inline constexpr int kSumThreads = 256, kWarps = kSumThreads / 32, kSumItems = 8, kTile = kSumThreads * kSumItems;

// Returns the sum of the values of the preceding threads and sets `total` to the sum of all values. Every thread of the
// block must call this function.
template <class T>
inline T sum_before(T value, T* room, T& total) {
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  T sum = value;
  for (unsigned step = 1; step < 32; step *= 2) {
    const T other = __shfl_up_sync(~0u, sum, step);
    if (lane >= step) sum += other;
  }
  if (lane == 31) room[warp] = sum;
  __syncthreads();
  T before = 0;
  total = 0;
  for (unsigned w = 0; w < kWarps; ++w) {
    if (w < warp) before += room[w];
    total += room[w];
  }
  __syncthreads();
  return before + sum - value;
}

// Replaces each value with the sum of the preceding values in its tile, and sets sums[tile] to the sum of the tile.
inline void sum_tiles(const RunningSumArguments& a) {
  __shared__ int64_t room[kWarps];
  const int64_t first = int64_t(blockIdx.x) * kTile + threadIdx.x * kSumItems;
  int64_t values[kSumItems], sum = 0, total;
  for (int j = 0; j < kSumItems; ++j) {
    values[j] = first + j < a.count ? a.values[first + j] : 0;
    sum += values[j];
  }
  int64_t before = sum_before(sum, room, total);
  for (int j = 0; j < kSumItems; ++j) {
    if (first + j < a.count) a.values[first + j] = before;
    before += values[j];
  }
  if (threadIdx.x == 0) a.sums[blockIdx.x] = total;
}
inline void add_sums(const RunningSumArguments& a) {
  const int64_t first = int64_t(blockIdx.x) * kTile + threadIdx.x, sum = a.sums[blockIdx.x];
  for (int j = 0; j < kSumItems; ++j)
    if (const int64_t i = first + int64_t(j) * kSumThreads; i < a.count) a.values[i] += sum;
}

}  // namespace flambeau::cuda

#define FLAMBEAU_RUNNING_SUMS                                                                                    \
  FLAMBEAU_COOPERATIVE_KERNEL(tiles, flambeau::cuda::RunningSumArguments, 256) { flambeau::cuda::sum_tiles(a); } \
  FLAMBEAU_KERNEL(add, flambeau::cuda::RunningSumArguments) { flambeau::cuda::add_sums(a); }
