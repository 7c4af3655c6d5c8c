// Arguments of copies between transposed layouts. Host and device code include this file.
#pragma once

#include "device/elementwise/pointwise_arguments.h"

namespace flambeau::cuda {

inline constexpr int kTransposeThreads = 256;
constexpr int transpose_tile(int item_size) { return item_size <= 8 ? 64 : 32; }  // rows and columns of a tile

// Copies matrices. The elements of a row are adjacent in `out`, and the elements of a column are adjacent in `in`.
// Strides are in bytes.
struct TransposeArguments {
  const char* in;
  char* out;
  uint32_t rows, columns;
  int64_t row_stride, column_stride;  // row_stride: of `out`; column_stride: of `in`
  Divider tiles[2];                   // numbers of tiles along a row and along a column
  int dims;                           // the other dimensions, the innermost first
  Divider sizes[kLoopDims];
  int64_t strides[2][kLoopDims];  // strides of `out` and of `in`
};

}  // namespace flambeau::cuda
