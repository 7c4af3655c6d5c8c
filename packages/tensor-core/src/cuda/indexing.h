// Reading and writing at computed positions on a GPU. Indices that are out of range are reported (report.h).
// Note [Blocks]
#pragma once

#include "flambeau/cuda.h"
#include "tasks/blocks.h"

namespace flambeau::cuda {

// Offsets of the entries of an index along a dimension: written, or added to what is there.
void pick(const Tensor& offsets, const Tensor& index, int64_t size, int64_t stride, bool wraps, bool adds);
void load_blocks(const Tensor& t, const Blocks& blocks, const Tensor& out);
void store_blocks(const Tensor& t, const Blocks& blocks, const Tensor& source, Combine c);
void gather(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& out);
// `strides`: where the source's elements are for each entry of the index.
void scatter(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source, const Shape& strides, Combine c);
// Of a contiguous mask, as of one row; ranks, if defined, becomes how many there are up to each element, less one.
Tensor true_positions(const Tensor& mask, const Tensor& ranks);
Tensor coordinates(const Tensor& positions, const Shape& shape);

}  // namespace flambeau::cuda
