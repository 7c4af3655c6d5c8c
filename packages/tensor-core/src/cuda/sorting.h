// Sorting and searching on a GPU.
#pragma once

#include "flambeau/cuda.h"

namespace flambeau::cuda {

// Contiguous rows in order; what is not wanted is undefined.
void sort(const Tensor& in, int64_t rows, int64_t length, bool descending, const Tensor& values, const Tensor& indices);
inline constexpr int64_t kBriefRow = 2048;  // a row that a block sorts at once
// Where the elements of the first ranks stand, (rows, chosen), in no order of ranks; `ranks` (rows) says one less. With
// 0 for `chosen` where the element of each row's rank does, (rows, 1). Ranks are int64 and below `length`.
Tensor select(const Tensor& in, int64_t rows, int64_t length, const Tensor& ranks, int64_t chosen, bool descending);
Tensor run_starts(const Tensor& sorted);  // a mask: where an element differs from the one before
void search(const Tensor& sequence, const Tensor& sorter, const Tensor& values, int64_t length, int64_t queries,
            bool right, const Tensor& out);

}  // namespace flambeau::cuda
