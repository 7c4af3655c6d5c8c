// Functions that the optimisation passes share. Note [Fusion]
#pragma once

#include <functional>

#include "program/body.h"
#include "program/prepared_weights.h"

namespace flambeau::program {

// Calls body(register) for each register that an argument or an instruction reads.
template <class F>
void each_register(const Program::Body::Argument& argument, F&& body) {
  if (argument.kind == Program::Body::Argument::Register) body(argument.number);
  for (const Program::Body::Argument& item : argument.items) each_register(item, body);
}
template <class F>
void each_register(const Program::Body::Instruction& instruction, F&& body) {
  for (const Program::Body::Argument& a : instruction.arguments) each_register(a, body);
}

// Calls body(operator) for each operator of an instruction, in order. An operator is also represented by an
// Instruction.
void each_operator(const Program::Body::Instruction& instruction,
                   const std::function<void(const Program::Body::Instruction&)>& body);

// Returns the number of reads of each register.
std::vector<int> count_uses(const Program::Body& body);

// Returns true if an operator may change one of its arguments.
bool writes(const Program::Body::Instruction& instruction);

// The passes. Each pass changes a program.
void fold_normalizations(Program::Body& body, const PackedBytes& packed);  // Note [Folding]
void merge_epilogues(Program::Body& body, const PackedBytes& packed);      // Note [Merged products]
void pair_convolutions(Program::Body& body);                               // Note [Merged products]

}  // namespace flambeau::program
