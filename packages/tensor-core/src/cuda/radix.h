// Cumulative sums and radix sort, which several operators use.
#pragma once

#include "flambeau/tensor.h"

namespace flambeau::cuda {

// Number of elements that a block processes. It is equal to kTile in device/reductions/running_sums.h.
inline constexpr int64_t kScanTile = 2048;

// Replaces every element of a contiguous int64 tensor with the sum of the preceding elements.
void running_sums(const Tensor& t);

struct SortedKeys {
  Tensor keys;       // the given keys in sorted order
  Tensor positions;  // uint32 positions of the keys in their row; equal keys keep their order
};
// Sorts rows of unsigned keys of 4 or 8 bytes by their lowest `bits` bits. May overwrite `keys`.
SortedKeys radix_sort(const Tensor& keys, int64_t rows, int64_t length, int bits);

}  // namespace flambeau::cuda
