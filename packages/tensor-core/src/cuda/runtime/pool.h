// Max pooling and resampling on a GPU.
#pragma once

#include "device/layers/pool_arguments.h"
#include "flambeau/tensor.h"
#include "tasks/resampling.h"

namespace flambeau::cuda {

// Writes the maxima of the windows of contiguous images, and their positions. `windows` describes the last three
// dimensions.
void max_pool(const PoolWindows& windows, const Tensor& out, const Tensor& indices, const Tensor& input);
// Like max_pool(), for windows of the kernel's size at random positions. `samples`, (planes, dims), contains the
// uniform numbers that determine the positions, as contiguous float64.
void fractional_max_pool(const PoolWindows& windows, const Tensor& out, const Tensor& indices, const Tensor& input,
                         const Tensor& samples);
void max_pool_derivative(const PoolWindows& windows, const Tensor& out, const Tensor& indices, const Tensor& grad);

// A resampling map in one block of GPU memory, in the format of the kernel.
struct DeviceMap {
  Dtype type;  // dtype of the weights
  Device device;
  Tensor memory;
  struct Axis {
    int64_t ends = -1, index, weight;  // offsets in `memory`; -1 if this dimension is not resampled
    int64_t columns = 1, rows = 1;
  } axes[3];
};
// Returns the map on a device. `sizes`: sizes of the image's last dimensions, at most three, on which the map acts.
DeviceMap device_map(const Resampling& map, const Shape& sizes, Dtype type, Device device);
void resample(const DeviceMap& map, const Tensor& out, const Tensor& input);

}  // namespace flambeau::cuda
