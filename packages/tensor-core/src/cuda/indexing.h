// Reading and writing at the positions in an index tensor, on a GPU. Kernels report indices that are out of range
// (report.h). Note [Blocks]
#pragma once

#include "flambeau/cuda.h"
#include "tasks/blocks.h"

namespace flambeau::cuda {

// Computes index * stride for each entry, which is the offset along a dimension of the given size. Writes the offsets
// or, if `adds`, adds them to the existing offsets. `wraps`: true if negative entries count from the end.
void pick(const Tensor& offsets, const Tensor& index, int64_t size, int64_t stride, bool wraps, bool adds);
void load_blocks(const Tensor& t, const Blocks& blocks, const Tensor& out);
void store_blocks(const Tensor& t, const Blocks& blocks, const Tensor& source, Combine c);
void gather(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& out);
// `strides`: the strides of `source` for the dimensions of `index`.
void scatter(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source, const Shape& strides, Combine c);
// Returns the positions of the true elements of a contiguous mask, as a vector. If `ranks` is defined, the function
// writes to it, for each element, the number of true elements up to and including this element, minus one.
Tensor true_positions(const Tensor& mask, const Tensor& ranks);
// Returns a matrix with a row of indices for each dimension.
Tensor coordinates(const Tensor& positions, const Shape& shape);

}  // namespace flambeau::cuda
