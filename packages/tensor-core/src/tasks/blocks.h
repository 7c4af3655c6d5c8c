// Positions of the elements that an operator reads or writes by index.
#pragma once

#include "flambeau/kernels/combine.h"
#include "flambeau/tensor.h"

namespace flambeau {

// Note [Blocks]
// Indexing treats a tensor as (outer, length, inner): the dimensions before the indexed dimensions, the indexed
// dimensions, and the dimensions after them. The index contains `count` offsets into the middle dimension. Each offset
// selects a block of the inner dimensions.
struct Blocks {
  Shape outer_size, outer_stride, inner_size, inner_stride;
  int64_t outer = 1, inner = 1, count = 0;
  Tensor offsets;                // int64, in elements
  int64_t step = 1, extent = 1;  // step: a common divisor of all offsets; extent: larger than all offsets
  bool distinct = false;         // true if it is known that no two offsets are equal
};

}  // namespace flambeau
