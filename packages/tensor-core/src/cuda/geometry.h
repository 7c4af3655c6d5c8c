// How tensors of any layout are walked by one loop: plain arithmetic, which the host's tests call.
#pragma once

#include <functional>

#include "device/elementwise/pointwise_arguments.h"
#include "flambeau/tensor.h"

namespace flambeau::cuda {

// Dimensions from the innermost of the first tensor's memory on, neighbours merged where they lie as one in all
// tensors.
struct StridedLayout {
  int pointers = 0, dims = 0;
  int64_t size[kMaxDims];
  int64_t stride[kPointers][kMaxDims];  // in bytes
  int64_t offset[kPointers] = {};       // where the walk begins, in bytes

  int64_t count() const {
    int64_t n = 1;
    for (int d = 0; d < dims; ++d) n *= size[d];
    return n;
  }
  // Returns true if each tensor is contiguous or a single element (all strides 0).
  bool side_by_side(const int64_t* item_sizes) const;
};

// tensors[0] has the shape of the loop; the others broadcast to it. Null: an operand without memory.
StridedLayout layout_of(const Tensor* const* tensors, int count);

inline constexpr int64_t kMostElements = int64_t(1) << 31;  // a kernel's index has 31 bits

// Calls run(part) for parts of a layout that have at most kLoopDims dimensions and fewer than kMostElements elements.
void each_part(const StridedLayout& layout, const std::function<void(const StridedLayout&)>& run);

}  // namespace flambeau::cuda
