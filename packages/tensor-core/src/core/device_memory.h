// Operations on GPU memory that the core calls; src/cuda/copy.cpp sets them when the library is loaded.
#pragma once

#include <optional>

#include "flambeau/tensor.h"

namespace flambeau {

// If the current operator call runs on the host (Note [Two memories]), copy and fill return false and item returns
// nothing.
struct DeviceMemory {
  // Copies elements between tensors of any dtype, layout and device, at least one of which is on a GPU.
  bool (*copy)(const Tensor& to, const Tensor& from);
  bool (*fill)(const Tensor& t, Scalar value);
  std::optional<Scalar> (*item)(const Tensor& t);  // value of a tensor with one element
};
extern DeviceMemory device_memory;

}  // namespace flambeau
