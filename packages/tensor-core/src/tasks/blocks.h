// Positions of the elements that an operator reads or writes by index.
#pragma once

#include "flambeau/kernels/combine.h"
#include "flambeau/tensor.h"

namespace flambeau {

// Note [Blocks]
// Indexing sees a tensor as (outer, length, inner): the dimensions before and after those that are indexed. The
// index holds `count` offsets into the middle dimension; each selects a block of the inner dimensions.
struct Blocks {
  Shape outer_size, outer_stride, inner_size, inner_stride;
  int64_t outer = 1, inner = 1, count = 0;
  Tensor offsets;                // int64, in elements
  int64_t step = 1, extent = 1;  // a common divisor of all offsets, and an upper bound that exceeds them
  bool distinct = false;         // true if the offsets are known to be different
};

}  // namespace flambeau
