// Loops that write at computed positions, for every dtype and every way to combine a value with the stored one.
// Internal.
#pragma once

#include "flambeau/dtype.h"
#include "flambeau/kernels/combine.h"

namespace flambeau {

// Positions of rows of values, in elements. Value j of a row is read at j * from_step and written at index[j *
// index_step] * scale + j * step. The distances between rows are `index_row`, `row` and `from_row`. Positions outside
// [low, high) are not written.
struct RowLayout {
  int64_t count, index_step = 1, scale = 1, step = 0, from_step = 1;
  int64_t rows = 1, index_row = 0, row = 0, from_row = 0;
  int64_t low = 0, high = INT64_MAX;
};

// Kernels that combine values with the elements of a destination, in order: `at` writes to positions, which may repeat,
// `row` to one row.
struct CombinedWrites {
  void (*at)(void* to, const void* from, const int64_t* index, const RowLayout& layout);
  void (*row)(void* to, int64_t step, const void* from, int64_t from_step, int64_t count);
};
// Raises NotImplementedError for comparisons of complex numbers.
CombinedWrites combined_writes(Dtype dtype, Combine how);

}  // namespace flambeau
