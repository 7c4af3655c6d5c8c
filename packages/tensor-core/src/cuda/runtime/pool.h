// Max pools and resampling on a GPU.
#pragma once

#include "device/layers/pool_arguments.h"
#include "flambeau/tensor.h"
#include "tasks/resampling.h"

namespace flambeau::cuda {

// Values and their places in the image, of contiguous images; `windows` are those of the last three dimensions.
void max_pool(const PoolWindows& windows, const Tensor& out, const Tensor& indices, const Tensor& input);
// Windows of the kernel's size, where uniform numbers (planes, dims), contiguous float64, put them.
void fractional_max_pool(const PoolWindows& windows, const Tensor& out, const Tensor& indices, const Tensor& input,
                         const Tensor& samples);
void max_pool_derivative(const PoolWindows& windows, const Tensor& out, const Tensor& indices, const Tensor& grad);

// A map as the kernel reads it: everything in one block of memory.
struct DeviceMap {
  Dtype type;  // of the weights
  Device device;
  Tensor memory;
  struct Axis {
    int64_t ends = -1, index, weight;  // offsets; -1 for a dimension that is not pooled
    int64_t columns = 1, rows = 1;
  } axes[3];
};
// For a map of at most three dimensions, the last of `sizes`.
DeviceMap device_map(const Resampling& map, const Shape& sizes, Dtype type, Device device);
void resample(const DeviceMap& map, const Tensor& out, const Tensor& input);

}  // namespace flambeau::cuda
