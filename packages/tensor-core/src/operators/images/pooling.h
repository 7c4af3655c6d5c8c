// Checks and sizes shared by the pooling operators.
#pragma once

#include <array>
#include <vector>

#include "flambeau/operators/networks.h"

namespace flambeau {

// The windows along one dimension. The window of output o begins at o * stride - padding.
struct PoolAxis {
  int64_t size, out, kernel, stride, padding, dilation;
};
// Checks the shape and the options of pooling over the last `dims` dimensions of `input`, and returns the windows along
// each of them.
std::vector<PoolAxis> pool_axes(const char* name, int dims, const Tensor& input, const PoolOptions& options);

// These functions return the start and the end of window `o` in adaptive pooling with `out` windows over `size`
// positions.
inline int64_t adaptive_start(int64_t o, int64_t size, int64_t out) { return o * size / out; }
inline int64_t adaptive_end(int64_t o, int64_t size, int64_t out) { return ((o + 1) * size + out - 1) / out; }
// Returns the output sizes of adaptive pooling, where None means the size of the input. Checks the input: no dimension
// from `first` on may be empty.
Shape adaptive_sizes(const char* name, int dims, const Tensor& input, const std::vector<std::optional<int64_t>>& output,
                     int first);

}  // namespace flambeau
