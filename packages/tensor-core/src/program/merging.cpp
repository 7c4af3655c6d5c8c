// Merging of convolutions and products with the pointwise operators that follow them. Note [Merged products]
#include <algorithm>

#include "program/merged_product.h"
#include "program/passes.h"

namespace flambeau::program {

namespace {

using Body = Program::Body;
using Instruction = Body::Instruction;
using Argument = Body::Argument;

// The steps that follow a product, with their operands.
struct Chain {
  std::vector<FusedStep> steps;
  std::vector<Argument> arguments;
  int result = -1;  // index in `arguments` of the result of the product
};

bool can_follow(const FusedStep& step) {
  const Domain domain = row_of(step.row).domain;
  return step.kind == FusedStep::Pointwise && !step.fills && domain != Domain::Comparison &&
         domain != Domain::Logical && domain != Domain::Select;
}

// Returns the steps of an instruction if the first step reads the register `product`, and each later step reads the
// result of the previous step and of no other step. Otherwise returns nothing.
std::optional<Chain> chain_of(const Instruction& instruction, int product) {
  Chain chain;
  if (instruction.group) {
    if (instruction.group->outputs != std::vector<int>{int(instruction.group->steps.size()) - 1}) return std::nullopt;
    chain.steps = instruction.group->steps;
    chain.arguments = instruction.group->arguments;
  } else {
    std::optional<FusedStep> step = lowered(instruction, chain.arguments);
    if (!step || instruction.results.size() != 1) return std::nullopt;
    for (size_t k = 0; k < chain.arguments.size(); ++k) step->operands.push_back({false, int(k)});
    chain.steps.push_back(std::move(*step));
  }
  const auto is_register = [&](int number) {
    const Argument& a = chain.arguments[size_t(number)];
    return a.kind == Argument::Register && a.number == product;
  };
  for (size_t s = 0; s < chain.steps.size(); ++s) {
    if (!can_follow(chain.steps[s])) return std::nullopt;
    bool reads = false;
    for (const StepOperand& o : chain.steps[s].operands) {
      const bool is_product = !o.is_step && is_register(o.number);
      if (o.is_step ? o.number + 1 != int(s) : is_product && s > 0) return std::nullopt;
      reads |= o.is_step || is_product;
      if (is_product) chain.result = o.number;
    }
    if (!reads) return std::nullopt;
  }
  return chain;
}

bool changes_memory(const Instruction& instruction) {
  bool any = false;
  each_operator(instruction, [&](const Instruction& single) { any |= writes(single); });
  return any;
}

// Returns the index of the first instruction that reads the result of instruction `product`. Returns the number of
// instructions if no instruction reads it, or if an earlier instruction writes to memory, which the product may read.
size_t first_reader(const std::vector<Instruction>& all, size_t product) {
  const int result = all[product].results[0];
  for (size_t i = product + 1; i < all.size(); ++i) {
    bool reads = false;
    each_operator(all[i],
                  [&](const Instruction& single) { each_register(single, [&](int r) { reads |= r == result; }); });
    if (reads) return i;
    if (changes_memory(all[i])) break;
  }
  return all.size();
}

std::shared_ptr<MergedProduct> merged_of(const Instruction& product, const PackedBytes& packed) {
  if (product.merged) return std::make_shared<MergedProduct>(*product.merged);
  auto merged = std::make_shared<MergedProduct>(packed);
  merged->product = product;
  return merged;
}

// Merges the product at index `at` with the only reader of its result. Returns false if this is not possible.
bool merge(Body& body, size_t at, const std::vector<int>& uses, const PackedBytes& packed) {
  const Instruction& product = body.instructions[at];
  const size_t reader = first_reader(body.instructions, at);
  if (reader == body.instructions.size()) return false;
  const int result = product.results[0];
  int used = 0;
  each_operator(body.instructions[reader],
                [&](const Instruction& single) { each_register(single, [&](int r) { used += r == result; }); });
  if (used != uses[size_t(result)]) return false;
  std::optional<Chain> chain = chain_of(body.instructions[reader], result);
  if (!chain) return false;
  const std::shared_ptr<MergedProduct> merged = merged_of(product, packed);
  Instruction out;
  out.results = body.instructions[reader].results;
  merged->after = std::move(body.instructions[reader]);
  merged->steps = std::move(chain->steps);
  merged->arguments = std::move(chain->arguments);
  merged->result = chain->result;
  // Replaces the register with an empty constant, because the product's result is not stored before the steps run.
  merged->arguments[size_t(merged->result)] = {};
  out.merged = merged;
  body.instructions[reader] = std::move(out);
  body.instructions.erase(body.instructions.begin() + std::ptrdiff_t(at));
  return true;
}

bool is_any_product(const Instruction& instruction) {
  return instruction.results.size() == 1 &&
         (instruction.merged ? !instruction.merged->after : !instruction.group && is_product(instruction));
}

// Returns the number of groups of a merged conv2d. Returns nothing for other instructions, and if the program computes
// this number.
std::optional<int64_t> groups_of(const Instruction& instruction) {
  if (!instruction.merged || instruction.merged->product.function->name != "conv2d") return std::nullopt;
  const int64_t* const groups = std::get_if<int64_t>(&instruction.merged->product.arguments[6].value);
  return groups ? std::optional(*groups) : std::nullopt;
}

bool is_read_as_input(const Instruction& instruction, int result) {
  const Argument& input = instruction.merged->product.arguments[0];
  return input.kind == Argument::Register && input.number == result;
}

}  // namespace

// Pairs a convolution without groups with a convolution with groups that is the only reader of its result. At each run,
// the program checks whether the latter is depthwise, because sizes are unknown here.
void pair_convolutions(Body& body) {
  const std::vector<int> uses = count_uses(body);
  std::vector<Instruction>& all = body.instructions;
  for (size_t i = all.size(); i-- > 0;) {
    if (groups_of(all[i]) != 1 || all[i].results.size() != 1 || all[i].merged->source) continue;
    const int result = all[i].results[0];
    const size_t reader = first_reader(all, i);
    if (uses[size_t(result)] != 1 || reader == all.size() || groups_of(all[reader]).value_or(1) == 1 ||
        !is_read_as_input(all[reader], result))
      continue;
    auto pair = std::make_shared<MergedProduct>(*all[reader].merged);
    pair->source = std::move(all[i]);
    all[reader].merged = std::move(pair);
    all.erase(all.begin() + std::ptrdiff_t(i));
  }
}

void merge_epilogues(Body& body, const PackedBytes& packed) {
  const std::vector<int> uses = count_uses(body);
  for (size_t i = body.instructions.size(); i-- > 0;) {  // backwards: if two products are added, merge the later one
    Instruction& instruction = body.instructions[i];
    if (!is_any_product(instruction) || merge(body, i, uses, packed) || instruction.merged) continue;
    Instruction alone;  // a merged product without `after`, which is merged only to use prepared weights
    alone.results = instruction.results;
    alone.arguments = instruction.arguments;
    alone.merged = merged_of(instruction, packed);
    instruction = std::move(alone);
  }
}

}  // namespace flambeau::program
