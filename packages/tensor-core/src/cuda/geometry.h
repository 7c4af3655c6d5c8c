// Loops over tensors of any layout, as plain arithmetic, which tests call on the host.
#pragma once

#include <functional>

#include "device/elementwise/transpose_arguments.h"
#include "flambeau/tensor.h"

namespace flambeau::cuda {

// Layouts of several tensors with the same dimensions, in the memory order of the first tensor, from the innermost
// dimension to the outermost. Adjacent dimensions are merged if the elements of each tensor are evenly spaced.
struct StridedLayout {
  int pointers = 0, dims = 0;
  int64_t size[kMaxDims];
  int64_t stride[kPointers][kMaxDims];  // in bytes
  int64_t offset[kPointers] = {};       // first element of the loop, in bytes

  int64_t count() const {
    int64_t n = 1;
    for (int d = 0; d < dims; ++d) n *= size[d];
    return n;
  }
  // Returns true if each tensor is contiguous or a single element (all strides 0).
  bool side_by_side(const int64_t* item_sizes) const;
  // Returns true if the innermost dimension can be processed in packs of `width` elements. This requires that, along
  // this dimension, each tensor is contiguous and each of its rows begins at an aligned address, or that the tensor has
  // one element for each row.
  bool has_packs(int64_t width, const int64_t* item_sizes, const uint64_t* addresses) const;
  // Divides the innermost dimension into packs or parts of `width` elements. The last one may be incomplete.
  void divide_rows(int64_t width);
};

// Returns the layout of a loop over tensors[0]. The other tensors broadcast to its shape. A null pointer stands for an
// operand that is not in memory.
StridedLayout layout_of(const Tensor* const* tensors, int count);

inline constexpr int64_t kMaxElements = int64_t(1) << 31;  // indices in kernels have 31 bits

// Divides a layout into parts with at most kLoopDims dimensions and fewer than kMaxElements elements, and calls
// run(part) for each part.
void each_part(const StridedLayout& layout, const std::function<void(const StridedLayout&)>& run);

// Returns the dimension along which the elements of the second tensor are adjacent, if a copy from the second tensor to
// the first one should use tiles. Otherwise returns 0.
int transposed_dim(const StridedLayout& layout, const int64_t* item_sizes);
// Returns the arguments of a tiled copy. `dim`: the result of transposed_dim(). `out` and `in`: the first elements of
// both tensors.
TransposeArguments transpose_arguments(const StridedLayout& layout, int dim, char* out, const char* in, int64_t tile);

}  // namespace flambeau::cuda
