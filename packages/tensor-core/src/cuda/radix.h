// Sums and sorts that other families are made of.
#pragma once

#include "flambeau/tensor.h"

namespace flambeau::cuda {

inline constexpr int64_t kScanTile = 2048;  // elements of a block; kTile in device/reductions/running_sums.h

// Every element of a contiguous int64 tensor becomes the sum of those before it.
void running_sums(const Tensor& t);

struct SortedKeys {
  Tensor keys;       // as they were given, in order
  Tensor positions;  // uint32, within the row; equal keys in the order of theirs
};
// Sorts rows of unsigned keys of 4 or 8 bytes by their lowest `bits`. May overwrite the keys.
SortedKeys radix_sort(const Tensor& keys, int64_t rows, int64_t length, int bits);

}  // namespace flambeau::cuda
