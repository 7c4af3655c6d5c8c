// Reading and writing at computed positions on a GPU. Indices that are out of range are reported (report.h).
// Note [Blocks]
#pragma once

#include "flambeau/cuda.h"
#include "tasks/blocks.h"

namespace flambeau::cuda {

// Computes the offsets of an index's entries along a dimension. Writes them, or adds them to the existing ones.
void pick(const Tensor& offsets, const Tensor& index, int64_t size, int64_t stride, bool wraps, bool adds);
void load_blocks(const Tensor& t, const Blocks& blocks, const Tensor& out);
void store_blocks(const Tensor& t, const Blocks& blocks, const Tensor& source, Combine c);
void gather(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& out);
// `strides`: strides of the source for each dimension of the index.
void scatter(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source, const Shape& strides, Combine c);
// Returns the positions of the true elements of a contiguous mask, as a flat vector. A defined `ranks` gets the number
// of true elements up to each element, minus one.
Tensor true_positions(const Tensor& mask, const Tensor& ranks);
Tensor coordinates(const Tensor& positions, const Shape& shape);

}  // namespace flambeau::cuda
