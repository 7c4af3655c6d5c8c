// Loops over tensors of any layout, as plain arithmetic that tests call on the host.
#pragma once

#include <functional>

#include "device/elementwise/pointwise_arguments.h"
#include "flambeau/tensor.h"

namespace flambeau::cuda {

// Dimensions in the memory order of the first tensor, innermost first. Neighbours are merged if they are contiguous to
// each other in all tensors.
struct StridedLayout {
  int pointers = 0, dims = 0;
  int64_t size[kMaxDims];
  int64_t stride[kPointers][kMaxDims];  // in bytes
  int64_t offset[kPointers] = {};       // start of the loop, in bytes

  int64_t count() const {
    int64_t n = 1;
    for (int d = 0; d < dims; ++d) n *= size[d];
    return n;
  }
  // Returns true if each tensor is contiguous or a single element (all strides 0).
  bool side_by_side(const int64_t* item_sizes) const;
};

// tensors[0] has the shape of the loop; the others broadcast to it. Null stands for an operand without memory.
StridedLayout layout_of(const Tensor* const* tensors, int count);

inline constexpr int64_t kMostElements = int64_t(1) << 31;  // indices in kernels have 31 bits

// Calls run(part) for parts of a layout that have at most kLoopDims dimensions and fewer than kMostElements elements.
void each_part(const StridedLayout& layout, const std::function<void(const StridedLayout&)>& run);

}  // namespace flambeau::cuda
