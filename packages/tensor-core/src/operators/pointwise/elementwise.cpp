// Fused elementwise operators that extensions define: choice of the loops by instruction set and dtype.
#include "flambeau/elementwise.h"

#include <string_view>

#include "operators/pointwise/elementwise_result.h"

namespace flambeau {

namespace {

// Returns the loops for the active instruction set or, if the extension was not compiled for it, for the best lower
// set.
const ElementwiseKernels& kernels_of(const Elementwise& op) {
  const std::string_view set = instruction_set();
  if (set == "avx512" && op.avx512) return *op.avx512;
  if (set != "baseline" && op.avx2) return *op.avx2;
  return *op.baseline;
}

PointwiseKernel kernel_of(const ElementwiseKernels& kernels, Dtype dtype) {
  switch (dtype) {
    case Dtype::float16:
      return kernels.float16;
    case Dtype::bfloat16:
      return kernels.bfloat16;
    case Dtype::float64:
      return kernels.float64;
    default:
      return kernels.float32;
  }
}

// Checks the operands. Returns the tensor that determines the device of the result: the first one with dimensions or,
// if no tensor has dimensions, the first one. Returns null if all operands are numbers.
const Tensor* device_operand(const Elementwise& op, const Operand* operands, int count) {
  const Tensor* located = nullptr;
  for (int k = 0; k < count; ++k) {
    const Tensor* t = operands[k].tensor;
    if (!t) continue;
    require<TypeError>(t->defined(), op.name, "(): operand ", k + 1, " must be a Tensor or a number, not None");
    if (!located || (located->dim() == 0 && t->dim() > 0)) located = t;
    require(t->dim() == 0 || t->device() == located->device(), op.name,
            "(): expected all tensors to be on the same device, got ", located->device(), " and ", t->device());
  }
  return located;
}

}  // namespace

Tensor elementwise(const Elementwise& op, const Operand* operands, int count) {
  require<TypeError>(count == op.operands, op.name, "() takes ", op.operands, " operands, got ", count);
  const Tensor* located = device_operand(op, operands, count);
  require<TypeError>(located, op.name, "(): one operand must be a Tensor, got numbers only");
  const Dtype dtype = result_type(operands, count);
  require<NotImplementedError>(is_floating(dtype) && !is_small_float(dtype), "\"", op.name, "\" not implemented for '",
                               dtype, "': convert the operands to a floating-point dtype");
  const OnDevice device(located->device(), op.name);
  const Tensor out = new_result(operands, count, dtype);
  // Half-precision kernels accept no numbers. If an operand is a number, the other operands are therefore converted.
  bool numbers = false;
  for (int k = 0; k < count; ++k) numbers |= !operands[k].tensor;
  const Dtype in = numbers ? dtype_of(compute_type(dtype)) : dtype;
  run_kernel(kernel_of(kernels_of(op), in), out, in, operands, count, in);
  return out;
}

}  // namespace flambeau
