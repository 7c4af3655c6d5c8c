// Loops that write at computed positions and combine each value with the stored one, for every dtype and every way to
// combine them.
#pragma once

#include "flambeau/dtype.h"
#include "flambeau/kernels/combine.h"

namespace flambeau {

// The positions, counted in elements, at which rows of values are read and written. Value j of a row is read at j *
// from_step and written at index[j * index_step] * scale + j * step. The next row begins `from_row`, `index_row` and
// `row` elements later. Values whose positions are outside [low, high) are not written.
struct RowLayout {
  int64_t count, index_step = 1, scale = 1, step = 0, from_step = 1;
  int64_t rows = 1, index_row = 0, row = 0, from_row = 0;
  int64_t low = 0, high = INT64_MAX;
};

// Loops that combine values with the elements of a destination, one after the other. `at` writes to the positions of a
// RowLayout, which may repeat. `row` writes to a row with a stride of `step`.
struct CombinedWrites {
  void (*at)(void* to, const void* from, const int64_t* index, const RowLayout& layout);
  void (*row)(void* to, int64_t step, const void* from, int64_t from_step, int64_t count);
};
// Returns the loops for a dtype. Raises NotImplementedError if complex numbers would have to be compared.
CombinedWrites combined_writes(Dtype dtype, Combine how);

}  // namespace flambeau
