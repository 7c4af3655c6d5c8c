// Chains of pointwise operators on a GPU. Note [Chains] in operators/pointwise/chain.h.
//
// Each result that is written to memory is computed by one kernel from the inputs and earlier results. The kernel's
// source names the pointwise operators. Intermediate values are rounded as if they were stored in memory, so results
// are identical to those of the operators. If a result needs more operands than a kernel can have, an intermediate
// value is also written to memory.
#pragma once

#include <span>

#include "cuda/runtime/compiler.h"
#include "operators/pointwise/chain.h"

namespace flambeau::program {

class GpuChain {
 public:
  // `inputs`, `steps` and `outputs`: as for ChainPlan. The steps must be pointwise steps and conversions of masks.
  // `dtype`: the dtype of all tensors except masks.
  GpuChain(std::span<const ChainInput> inputs, std::span<const ChainStep> steps, std::span<const int> outputs,
           Dtype dtype);

  // `outputs`: contiguous tensors on the GPU.
  void run(std::span<const Operand> inputs, std::span<const Tensor> outputs) const;

 private:
  class Builder;
  struct Kernel {
    int value;                  // the index of the value that the kernel computes
    SmallVector<int, 8> reads;  // the indices of the kernel's operands
    Dtype dtype;                // the dtype of the kernel's result
    cuda::CudaModule* module;   // the module is never deleted
  };

  std::vector<Kernel> kernels_;
  std::vector<int> outputs_;
  size_t values_;
  Dtype dtype_;
};

}  // namespace flambeau::program
