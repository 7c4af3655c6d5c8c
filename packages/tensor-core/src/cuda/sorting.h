// Sorting and searching on a GPU.
#pragma once

#include "flambeau/cuda.h"

namespace flambeau::cuda {

// Contiguous rows in order; what is not wanted is undefined.
void sort(const Tensor& in, int64_t rows, int64_t length, bool descending, const Tensor& values, const Tensor& indices);
Tensor run_starts(const Tensor& sorted);  // a mask: where an element differs from the one before
void search(const Tensor& sequence, const Tensor& sorter, const Tensor& values, int64_t length, int64_t queries,
            bool right, const Tensor& out);

}  // namespace flambeau::cuda
