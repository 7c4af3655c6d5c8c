// Sorting and searching on a GPU.
#pragma once

#include "flambeau/cuda.h"

namespace flambeau::cuda {

// Sorts contiguous rows. `values` and `indices` may be undefined if they are not requested.
void sort(const Tensor& in, int64_t rows, int64_t length, bool descending, const Tensor& values, const Tensor& indices);
inline constexpr int64_t kMaxBlockRow = 2048;  // longest row that one block sorts in shared memory
// If `chosen` > 0, returns, for each row, the positions of the `chosen` elements that are first in sorted order. The
// result (rows, chosen) is not sorted, and all ranks must be `chosen` - 1. If `chosen` is 0, returns for each row the
// position of the element whose rank is given by `ranks`, (rows, 1). `ranks` (rows) is int64, and ranks are less than
// `length`.
Tensor select(const Tensor& in, int64_t rows, int64_t length, const Tensor& ranks, int64_t chosen, bool descending);
// Returns a mask that is true for elements that differ from the previous element.
Tensor run_starts(const Tensor& sorted);
void search(const Tensor& sequence, const Tensor& sorter, const Tensor& values, int64_t length, int64_t queries,
            bool right, const Tensor& out);

}  // namespace flambeau::cuda
