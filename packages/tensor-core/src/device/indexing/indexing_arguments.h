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

// Entries of an index along a dimension as offsets: written, or added to what is there.
struct PickArguments {
  const int64_t* index;
  int64_t* offsets;
  int64_t count, size, stride;
  bool wraps, adds;
  Reporter reporter;
};

// Numbers of rows, of 32 bits, are sorted in place of their offsets.
struct RowArguments {
  const int64_t* offsets;
  uint32_t* rows;
  int64_t count, step;
};

// Note [Blocks] in src/operators/indexing/indexing.h. `inner` and inner_dims are in words where words are copied, in
// elements where these are combined.
struct BlockArguments {
  char *blocks, *values;      // the indexed tensor; what is read of it or written to it, contiguous
  const int64_t* offsets;     // in elements; or null, and
  const uint32_t* rows;       // offsets in steps
  int64_t step;               // of so many elements
  const uint32_t* positions;  // of each offset's values where the offsets were sorted; null: they lie in order
  int64_t outer, count, inner, item;
  bool one;  // a single value for all
  Extents outer_dims, inner_dims;
};

// One entry of an index for each element: the tensor's elements, the other tensor's and the entries lie at the same
// coordinates, of which those along the indexed dimension are walked one after the other (length, and steps in bytes)
// or are among the dimensions of the loop (length 1).
struct WalkArguments {
  int64_t count;
  char *elements, *others;
  const char* index;
  int dims;
  Divider sizes[kLoopDims];
  int64_t strides[3][kLoopDims];  // of others, index, elements
  int64_t length, other_step, index_step;
  int64_t size, stride;  // of the indexed dimension
  int64_t begin, item;   // of what `locate` gives: where the loop begins, and bytes of an element
  Reporter reporter;
};

struct MaskArguments {
  const uint8_t* mask;
  int64_t count;
  int64_t *tiles, *positions, *ranks;  // ranks: of what run every element is, or null
};

struct CoordinateArguments {  // of flat positions
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
