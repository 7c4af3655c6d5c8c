// Arguments of the kernels of indexing. Host and device code include this file.
#pragma once

#include "device/elementwise/pointwise_arguments.h"
#include "device/threads/report.h"

namespace flambeau::cuda {

inline constexpr int kManyDims = 64;

struct Extents {  // the last dimension is the innermost; strides in bytes
  int dims;
  int64_t size[kManyDims], stride[kManyDims];
};

// Converts the entries of an index along one dimension to offsets. Stores them or, if `adds`, adds them to the offsets
// of other dimensions. If `wraps`, negative entries count from the end.
struct PickArguments {
  const int64_t* index;
  int64_t* offsets;
  int64_t count, size, stride;
  bool wraps, adds;
  Reporter reporter;
};

// Converts offsets to 32-bit row numbers (offset / step), which are sorted instead of the offsets.
struct RowArguments {
  const int64_t* offsets;
  uint32_t* rows;
  int64_t count, step;
};

// Note [Blocks] in src/operators/indexing/indexing.h. `inner` and inner_dims count words if words are copied, and count
// elements if elements are combined.
struct BlockArguments {
  char *blocks, *values;   // blocks: the indexed tensor; values: contiguous, read from it or written to it
  const int64_t* offsets;  // offsets in elements; if null, offset k is rows[k] * step
  const uint32_t* rows;
  int64_t step;
  // For each offset, the position of its values before the offsets were sorted. Null: the offsets were not sorted.
  const uint32_t* positions;
  int64_t outer, count, inner, item;
  bool one;  // true if all elements are set to a single value
  Extents outer_dims, inner_dims;
};

// Arguments for an index with one entry per element, as in gather. Each thread processes `length` entries along the
// indexed dimension; the steps are in bytes. If `length` is 1, `dims` and `sizes` include this dimension.
struct WalkArguments {
  int64_t count;
  char *elements, *others;
  const char* index;
  int dims;
  Divider sizes[kLoopDims];
  int64_t strides[3][kLoopDims];  // strides of others, index and elements
  int64_t length, other_step, index_step;
  int64_t size, stride;  // size and stride of the indexed dimension
  int64_t begin, item;   // for `locate`: the offset at which the loop begins, and the size of an element in bytes
  Reporter reporter;
};

struct MaskArguments {
  const uint8_t* mask;
  int64_t count;
  int64_t *tiles, *positions, *ranks;  // ranks: number of true elements up to each element, minus 1; or null
};

// Converts flat positions to coordinates, in separate arrays of `count` elements.
struct CoordinateArguments {
  const int64_t* positions;
  int64_t* to;
  int64_t count;
  int dims;
  int64_t size[kManyDims];
};

struct RunningSumArguments {
  int64_t *values, *sums;
  int64_t count;
};

}  // namespace flambeau::cuda
