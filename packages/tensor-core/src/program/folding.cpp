// Folding of batch_norm into convolutions.
//
// Note [Folding]
// batch_norm in evaluation mode is an affine map of each channel, so the preceding convolution can compute it: the
// weights of each channel are multiplied by the scale of the channel, and the bias is adjusted. Results change by
// rounding errors similar to those of the convolution. This applies to a convolution whose result only the batch_norm
// reads. The parameters and running statistics must belong to the program's state. The folded weights are cached: Note
// [Prepared weights].
#include "program/merged_product.h"
#include "program/passes.h"

namespace flambeau::program {

namespace {

using Instruction = Program::Body::Instruction;
using Argument = Program::Body::Argument;

bool is_convolution(const Instruction& instruction) {
  return instruction.function && instruction.function->name.starts_with("conv") && is_product(instruction);
}

// Returns true for a batch_norm in evaluation mode whose input is a register. Its parameters must not be registers.
bool is_foldable(const Instruction& instruction) {
  std::vector<Argument> operands;
  const std::optional<FusedStep> step = lowered(instruction, operands);
  if (!step || step->kind != FusedStep::Channels || operands[0].kind != Argument::Register) return false;
  for (size_t k = 1; k < operands.size(); ++k)
    if (operands[k].kind == Argument::Register) return false;
  return true;
}

Instruction folded(Instruction convolution, Instruction norm, const PackedBytes& packed) {
  auto merged = std::make_shared<MergedProduct>(packed);
  std::vector<Argument> operands;
  merged->eps = *lowered(norm, operands)->eps;
  Instruction out;
  out.results = norm.results;
  out.arguments = convolution.arguments;
  merged->product = std::move(convolution);
  merged->norm = std::move(norm);
  out.merged = std::move(merged);
  return out;
}

}  // namespace

void fold_normalizations(Program::Body& body, const PackedBytes& packed) {
  const std::vector<int> uses = count_uses(body);
  std::vector<Instruction> out;
  for (Instruction& instruction : body.instructions) {
    Instruction* const before = out.empty() ? nullptr : &out.back();
    if (before && is_convolution(*before) && is_foldable(instruction) && instruction.results.size() == 1 &&
        before->results.size() == 1 && before->results[0] == instruction.arguments[0].number &&
        uses[size_t(before->results[0])] == 1)
      *before = folded(std::move(*before), std::move(instruction), packed);
    else
      out.push_back(std::move(instruction));
  }
  body.instructions = std::move(out);
}

}  // namespace flambeau::program
