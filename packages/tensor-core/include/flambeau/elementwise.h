// Calls of fused elementwise operators of extensions. Their loops are defined in a kernel source with
// FLAMBEAU_ELEMENTWISE (elementwise_kernels.h), which flambeau_add_kernels of the CMake package compiles once for each
// instruction set.
//
//   extern const flambeau::Elementwise silu_mul;  // defined in the kernel source
//   flambeau::Tensor out = silu_mul(x, y);        // operands are tensors or numbers
#pragma once

#include "flambeau/pointwise.h"

namespace flambeau {

inline constexpr int kMaxElementwiseOperands = 5;

// The loops for one instruction set. Half-precision loops compute in float32.
struct ElementwiseKernels {
  PointwiseKernel float32, float64, float16, bfloat16;
};

struct Elementwise {
  const char* name;  // for error messages
  int operands;
  const ElementwiseKernels *baseline, *avx2, *avx512;  // null if not compiled for this instruction set

  template <class... Operands>
  Tensor operator()(const Operands&... operands) const;
};

// Run the operator, without recording it, on all threads. Operands of any strides are broadcast and promoted to one
// dtype, which is also the dtype of the result: float16, bfloat16, float32 or float64. Raises TypeError for a wrong
// number of operands or an undefined tensor, NotImplementedError for other dtypes, Error for shapes that do not
// broadcast.
FLAMBEAU_API Tensor elementwise(const Elementwise& op, const Operand* operands, int count);

template <class... Operands>
Tensor Elementwise::operator()(const Operands&... operands) const {
  const Operand all[] = {Operand(operands)...};
  return elementwise(*this, all, int(sizeof...(operands)));
}

}  // namespace flambeau
