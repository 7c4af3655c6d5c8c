// Several pointwise kernels in one pass over memory. Internal.
//
// Note [Chains]
// `(x * 2 + y).tanh()` as three operators reads and writes memory three times. A chain runs all its steps on a block of
// elements that fits in the first-level cache, then on the next block: each input is read once and each output is
// written once. A chain calls the same kernels as the operators, so its results are identical to theirs.
#pragma once

#include <span>
#include <vector>

#include "flambeau/pointwise.h"

namespace flambeau {

// x -> (x - centre) * scale + shift, with three numbers for each channel of (N, C, ...).
struct ChannelLine {
  double centre, scale, shift;
};
struct ChannelLines {
  std::vector<ChannelLine> lines;
  int64_t inner = 1;  // elements of a channel in one sample
};

struct ChainInput {
  Operand operand;
  Dtype dtype;  // its elements are converted to this dtype
};

struct ChainStep {
  PointwiseKernel kernel = nullptr;     // null: a step over channels, or a conversion to `dtype`
  const ChannelLines* lines = nullptr;  // for a step over channels
  Dtype dtype = Dtype::float32;         // of the result
  int operands[kMaxOperands] = {};      // values: inputs are numbered first, then the results of steps
  int count = 1;
};

struct ChainOutput {
  int value;      // the result of a step
  Tensor tensor;  // contiguous, of the chain's shape and the step's dtype
};

// The kernel of a row for elements of a dtype, or null.
PointwiseKernel chain_kernel(PointwiseOp row, Dtype dtype);

// Runs the steps in order. `shape` is the shape of each result and of each output; inputs are broadcast to it.
void run_chain(std::span<const ChainInput> inputs, std::span<const ChainStep> steps,
               std::span<const ChainOutput> outputs, const Shape& shape);

}  // namespace flambeau
