// Checks and sizes that the pools share. Internal to them.
#pragma once

#include <array>
#include <vector>

#include "flambeau/operators/networks.h"

namespace flambeau {

// The windows along one dimension: output o begins at o * stride - padding.
struct PoolAxis {
  int64_t size, out, kernel, stride, padding, dilation;
};
// The axes of a pool over the last `dims` dimensions of `input`, whose shape and options are checked.
std::vector<PoolAxis> pool_axes(const char* name, int dims, const Tensor& input, const PoolOptions& options);

// Where window `o` of `out` begins and ends in an adaptive pool of `size` places.
inline int64_t adaptive_start(int64_t o, int64_t size, int64_t out) { return o * size / out; }
inline int64_t adaptive_end(int64_t o, int64_t size, int64_t out) { return ((o + 1) * size + out - 1) / out; }
// The output sizes of an adaptive pool: nothing given means the input's. The input is checked; none of its dimensions
// from `first` on may be empty.
Shape adaptive_sizes(const char* name, int dims, const Tensor& input, const std::vector<std::optional<int64_t>>& output,
                     int first);

}  // namespace flambeau
