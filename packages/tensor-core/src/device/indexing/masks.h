// Finds the positions of the nonzero elements of a mask: `count` counts these elements in each tile, and `write` stores
// each position at an offset, the number of preceding nonzero elements. `coordinates` converts positions to
// coordinates.
#pragma once

#include "device/reductions/running_sums.h"

namespace flambeau::cuda {

inline int64_t count_true(const MaskArguments& a, int64_t first) {
  int64_t count = 0;
  for (int j = 0; j < kSumItems; ++j) count += first + j < a.count && a.mask[first + j];
  return count;
}

FLAMBEAU_COOPERATIVE_KERNEL(count, MaskArguments, kSumThreads) {
  __shared__ int64_t room[kWarps];
  int64_t total;
  sum_before(count_true(a, int64_t(blockIdx.x) * kTile + threadIdx.x * kSumItems), room, total);
  if (threadIdx.x == 0) a.tiles[blockIdx.x] = total;
}

FLAMBEAU_COOPERATIVE_KERNEL(write, MaskArguments, kSumThreads) {
  __shared__ int64_t room[kWarps];
  const int64_t first = int64_t(blockIdx.x) * kTile + threadIdx.x * kSumItems;
  int64_t total, at = a.tiles[blockIdx.x] + sum_before(count_true(a, first), room, total);
  for (int j = 0; j < kSumItems; ++j) {
    if (first + j >= a.count) return;
    if (a.mask[first + j]) a.positions[at++] = first + j;
    if (a.ranks) a.ranks[first + j] = at - 1;
  }
}

FLAMBEAU_KERNEL(coordinates, CoordinateArguments) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= a.count) return;
  int64_t position = a.positions[i];
  for (int d = a.dims - 1; d >= 0; --d) {
    const int64_t next = d ? position / a.size[d] : 0;
    a.to[d * a.count + i] = position - next * a.size[d];
    position = next;
  }
}

}  // namespace flambeau::cuda
