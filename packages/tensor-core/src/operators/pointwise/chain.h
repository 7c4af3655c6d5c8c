// Execution of several kernels in one pass over memory.
//
// Note [Chains]
// `(x * 2 + y).tanh()` as three operators reads and writes memory three times. A chain runs all its steps on a block of
// elements that fits in the first-level cache, then on the next block: each input is read once and each output is
// written once. A chain calls the same kernels as the operators, so its results are identical to theirs.
//
// A chain with row functions (softmax, layer_norm, sums over the last dimensions) processes blocks of complete rows. A
// reduction computes one value for each row. This value is repeated along the row if a later step combines it with a
// value for each element.
#pragma once

#include <span>
#include <vector>

#include "flambeau/pointwise.h"
#include "operators/pointwise/row_functions.h"

namespace flambeau {

// The function x -> (x - centre) * scale + shift for one channel of (N, C, ...).
struct ChannelLine {
  double centre, scale, shift;
};
struct ChannelLines {
  std::vector<ChannelLine> lines;
  int64_t inner = 1;  // number of contiguous elements of a channel in one sample
};

// The derivative of a pointwise operator reads the gradient, the operands of the operator and its result.
inline constexpr int kMaxChainOperands = kMaxOperands + 2;

struct ChainInput {
  const Tensor* example;  // a tensor with the shape, strides and dtype of the input in all runs; null for a number
  Dtype dtype;            // dtype to which elements are converted
};

struct ChainStep {
  enum Kind : uint8_t { Pointwise, Convert, Channels, Rows, Repeat } kind = Pointwise;
  // For Pointwise steps: the kernel, the operator, and the index of the operand whose derivative the step computes, or
  // -1 if the step computes the operator itself.
  PointwiseKernel kernel = nullptr;
  PointwiseOp op = {};
  int derivative = -1;
  int lines = -1;                        // for Channels: index of the ChannelLines
  RowStep row = {};                      // for Rows steps
  Dtype dtype = Dtype::float32;          // dtype of the result
  bool is_per_row = false;               // true if the result has one value for each row
  int operands[kMaxChainOperands] = {};  // indices of the operands among the inputs and, after them, the steps' results
  int count = 1;

  bool operator==(const ChainStep&) const = default;
};

// The data of one run, which must have the sizes and layouts of the plan.
struct ChainMemory {
  std::span<const Operand> inputs;
  std::span<const ChannelLines> lines;
  std::span<const char* const> weights;  // weights of row functions; null for functions without weights
  std::span<char* const> outputs;        // addresses of the outputs, which are contiguous
};

// Layout of the elements of a tensor: operand_layout.h.
struct OperandLayout;

// The steps of a chain, with the locations of all values, for tensors of one size.
class ChainPlan {
 public:
  // `outputs`: indices of the results that are written to memory. `shape`: shape of the results. `row_length`: if the
  // chain has row functions, the number of elements of a row, which consists of the last dimensions; otherwise 0.
  ChainPlan(std::span<const ChainInput> inputs, std::span<const ChainStep> steps, std::span<const int> outputs,
            const Shape& shape, int64_t row_length);
  ~ChainPlan();

  void run(const ChainMemory& memory) const;
  // Returns false if the buffers for one row do not fit in the second-level cache.
  bool fits_cache() const;

 private:
  struct Location;
  class Pass;

  void locate_input(const ChainInput& input, const Shape& shape);
  void locate_outputs(std::span<const int> outputs);
  void locate_steps();
  int64_t grain() const;
  int64_t buffer_bytes() const;

  std::vector<ChainStep> steps_;
  std::vector<Location> locations_;     // locations of the inputs, then of the results
  std::vector<OperandLayout> layouts_;  // layouts of the inputs that are copied to buffers
  size_t inputs_;
  int64_t elements_, row_length_;
  int buffers_ = 0;
  int64_t widest_ = 1, block_;  // size of the largest element of a buffer in bytes; elements of a block
};

// Returns the kernel of a pointwise operator for elements of a dtype, or null if chains do not support it.
PointwiseKernel chain_kernel(PointwiseOp row, Dtype dtype);

}  // namespace flambeau
