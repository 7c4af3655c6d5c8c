// The GPUs, what is known of them, and which one the thread works on.
#pragma once

#include <string>

#include "cuda/driver.h"
#include "flambeau/cuda.h"
#include "flambeau/dtype.h"

namespace flambeau::cuda {

inline constexpr int kMaxDevices = 64;

ContextHandle* context_of(int device);
// Makes the context of a GPU current in this thread, whoever changed it meanwhile; returns the driver.
const Driver& activate(int device);
// RuntimeError unless there is such a GPU.
void check_device(int device);
// Whether it multiplies matrices of such elements by units of their own. Note [Matrix units]
bool has_matrix_units(int device, Dtype dtype);

}  // namespace flambeau::cuda
