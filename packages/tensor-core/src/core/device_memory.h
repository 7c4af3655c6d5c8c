// Operations on GPU memory that the core calls; src/cuda/copy.cpp sets them when the library is loaded.
#pragma once

#include <optional>

#include "flambeau/tensor.h"

namespace flambeau {

// copy and fill return false, and item nothing, where the running call has gone over to the host. Note [Two memories]
struct DeviceMemory {
  // Elements of one tensor to another, of any dtype, layout and device, of which one is a GPU.
  bool (*copy)(const Tensor& to, const Tensor& from);
  bool (*fill)(const Tensor& t, Scalar value);
  std::optional<Scalar> (*item)(const Tensor& t);  // of one element
};
extern DeviceMemory device_memory;

}  // namespace flambeau
