// Launches of the kernels of device/elementwise/pointwise.h.
#pragma once

#include <span>

#include "cuda/runtime/compiler.h"
#include "device/elementwise/pointwise_arguments.h"
#include "flambeau/pointwise_row.h"

namespace flambeau::cuda {

inline constexpr std::initializer_list<const char*> kPointwiseKernels = {"vectors", "elements", "packs", "rows",
                                                                         "strided"};
// Maximum numbers of tensors and of all operands of a kernel.
inline constexpr size_t kMaxTensors = kPointers - 1, kMaxInputs = kNumbers - 1;

// Computes `out` with a module made by FLAMBEAU_POINTWISE. `in`: the dtype of the computation. Operands after the first
// kMaxTensors must be numbers. If the module copies elements, `is_copy` allows tiled kernels for transposed tensors.
void run_pointwise(CudaModule& module, const Tensor& out, std::span<const Operand> operands, Dtype in,
                   bool is_copy = false);

}  // namespace flambeau::cuda
