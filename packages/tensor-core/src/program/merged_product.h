// Convolutions and products merged with the operators that follow them.
//
// Note [Merged products]
// The following operators become one instruction: a convolution or `linear`, a batch_norm in evaluation mode that
// follows it (Note [Folding]), and the pointwise operators after that, which run as an epilogue (Note [Epilogues]). The
// weights are packed once for each state of the parameters (Note [Prepared weights]). This applies to contiguous
// tensors of float32 or float64 on the CPU if no gradient is needed. Otherwise the operators run separately.
//
// A merged depthwise convolution and the merged convolution that computes its input become one instruction if nothing
// else reads that input: Note [Paired convolutions].
#pragma once

#include <optional>

#include "program/fusion.h"
#include "program/prepared_weights.h"

namespace flambeau::program {

struct MergedProduct {
  using Instruction = Program::Body::Instruction;

  explicit MergedProduct(const PackedBytes& packed) : weights(packed) {}

  std::optional<Instruction> source;  // a merged convolution whose result only `product` reads, as its input
  Instruction product;                // conv1d, conv2d, conv3d or linear
  std::optional<Instruction> norm;    // the batch_norm that follows `product`
  double eps = 0;                     // `eps` of the batch_norm
  std::optional<Instruction> after;   // a pointwise operator or a group that reads the result of `product` and `norm`
  // Steps of `after`. Each step reads the result of the previous one. The operands of all steps are in `arguments`.
  std::vector<FusedStep> steps;
  std::vector<Program::Body::Argument> arguments;
  int result = 0;  // index in `arguments` of the result of product and norm, which an epilogue does not store

  mutable WeightCache weights;
};

// Returns true for an operator that can be merged.
bool is_product(const Program::Body::Instruction& instruction);

// The part of a merged product that has run: nothing, everything except `after`, or everything.
enum class Merged : uint8_t { None, Product, All };

// Runs the operators, stores the result and returns which of them have run. The result is None if they have to run one
// by one. `arguments`: the arguments of the product, the arguments of the norm if it exists, and the operands of the
// steps.
Merged run_merged(const MergedProduct& merged, const Value* const* arguments, Value& result);

// Runs the source of a merged product and the product as one, and stores the result. The arguments are those of the two
// merged products. If they have to run one after the other, does nothing and returns false.
bool run_pair(const MergedProduct& merged, const Value* const* source_arguments, const Value* const* arguments,
              Value& result);

}  // namespace flambeau::program
