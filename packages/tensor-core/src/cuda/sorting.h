// Sorting and searching on a GPU.
#pragma once

#include "flambeau/cuda.h"

namespace flambeau::cuda {

// Sorts contiguous rows. Results that are not requested are undefined.
void sort(const Tensor& in, int64_t rows, int64_t length, bool descending, const Tensor& values, const Tensor& indices);
inline constexpr int64_t kBriefRow = 2048;  // longest row that one block sorts at once
// Returns the positions of the elements of the first ranks, (rows, chosen), in any order; `ranks` (rows) contains
// `chosen` - 1. With `chosen` = 0, returns the position of the element of each row's rank, (rows, 1). Ranks are int64
// and less than `length`.
Tensor select(const Tensor& in, int64_t rows, int64_t length, const Tensor& ranks, int64_t chosen, bool descending);
Tensor run_starts(const Tensor& sorted);  // returns a mask that is true where an element differs from the previous one
void search(const Tensor& sequence, const Tensor& sorter, const Tensor& values, int64_t length, int64_t queries,
            bool right, const Tensor& out);

}  // namespace flambeau::cuda
