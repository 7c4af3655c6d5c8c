// The parsed form of a program.
#pragma once

#include "program/operators.h"

namespace flambeau {

namespace program {
struct FusedGroup;
struct MergedProduct;
}  // namespace program

struct Program::Body {
  // An argument of an instruction.
  struct Argument {
    enum Kind : uint8_t { Constant, Register, State, List } kind = Constant;
    int number = 0;               // index of a register or of a tensor of the state
    Value value;                  // value of a constant
    std::vector<Argument> items;  // items of a list that contains computed values
  };
  struct Instruction {
    const program::Operator* function = nullptr;                // null for a group or a merged product
    std::shared_ptr<const program::FusedGroup> group = {};      // Note [Fusion]
    std::shared_ptr<const program::MergedProduct> merged = {};  // Note [Merged products]
    std::vector<Argument> arguments;
    std::vector<int> results;  // registers; empty if no result is used
    std::vector<int> last;     // registers that this instruction reads or assigns and that no later instruction reads
    std::string location;      // the layer and the source line that made the call
    bool makes_lists = false;
    int number = 0;  // number of the call in the text
  };
  std::string text;
  std::vector<std::string> inputs, state;
  std::vector<int> input_registers;
  std::vector<Instruction> instructions;
  std::vector<Argument> outputs;
  int registers = 0;
};

namespace program {

Program::Body read_text(std::string_view text);

// Optimises a program (passes.cpp). If `fuse` is false or fusion is disabled, only finds the last uses. Note [Fusion]
void optimize(Program::Body& body, bool fuse = true);
// Returns the reasons why adjacent operators are not fused.
std::vector<Boundary> boundaries(Program::Body body);
// Stores for each instruction the registers that are not read after it.
void find_last_uses(Program::Body& body);
// Returns the instructions as text, with each group on one line.
std::string described(const Program::Body& body);

struct File {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
};
File read_file(const std::string& path);

}  // namespace program
}  // namespace flambeau
