// Copies between layouts with different innermost dimensions. Tiles in shared memory make both the reads and the writes
// of a warp contiguous. A module invokes FLAMBEAU_TRANSPOSE(V, Out, In), with the types of pointwise.h.
#pragma once

#include "device/elementwise/halves.h"
#include "device/elementwise/transpose_arguments.h"
#include "device/threads/kernel.h"

namespace flambeau::cuda {

template <class V, class Out, class In>
inline void transpose(const TransposeArguments& a) {
  constexpr int kTile = transpose_tile(sizeof(Out)), kStep = kTransposeThreads / kTile;
  __shared__ Out tile[kTile][kTile + 1];  // one more element, so that columns are in different memory banks
  const uint32_t number = a.tiles[0].quotient(blockIdx.x);
  uint32_t left = a.tiles[1].quotient(number);
  const uint32_t column = (blockIdx.x - number * a.tiles[0].divisor) * kTile,
                 row = (number - left * a.tiles[1].divisor) * kTile;
  const char* in = a.in;
  char* out = a.out;
  for (int d = 0; d < a.dims; ++d) {
    const uint32_t next = d + 1 < a.dims ? a.sizes[d].quotient(left) : 0;
    const int64_t position = left - next * a.sizes[d].divisor;
    out += a.strides[0][d] * position;
    in += a.strides[1][d] * position;
    left = next;
  }
  const uint32_t x = threadIdx.x % kTile, y = threadIdx.x / kTile;
#pragma unroll
  for (int j = 0; j < kTile; j += kStep)
    if (const uint32_t r = row + x, c = column + y + j; r < a.rows && c < a.columns)
      tile[y + j][x] = convert<Out>(convert<V>(reinterpret_cast<const In*>(in + c * a.column_stride)[r]));
  __syncthreads();
#pragma unroll
  for (int j = 0; j < kTile; j += kStep)
    if (const uint32_t r = row + y + j, c = column + x; r < a.rows && c < a.columns)
      reinterpret_cast<Out*>(out + r * a.row_stride)[c] = tile[x][y + j];
}

}  // namespace flambeau::cuda

#define FLAMBEAU_TRANSPOSE(...)                                                                                   \
  FLAMBEAU_COOPERATIVE_KERNEL(transpose, flambeau::cuda::TransposeArguments, flambeau::cuda::kTransposeThreads) { \
    flambeau::cuda::transpose<__VA_ARGS__>(a);                                                                    \
  }
