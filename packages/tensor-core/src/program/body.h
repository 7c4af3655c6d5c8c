// A program that has been read. Internal.
#pragma once

#include "program/operators.h"

namespace flambeau {

struct Program::Body {
  // Where an argument comes from.
  struct Argument {
    enum Kind : uint8_t { Constant, Register, State, List } kind = Constant;
    int number = 0;               // of a register or a tensor of the state
    Value value;                  // a constant
    std::vector<Argument> items;  // of a list in which something is computed
  };
  struct Instruction {
    const program::Operator* function = nullptr;
    std::vector<Argument> arguments;
    std::vector<int> results;  // registers; empty if no result is used
    std::vector<int> last;     // registers that are not read after it
    std::string place;         // the layer and line of the model that called it
    bool makes_lists = false;
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

struct File {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
};
File read_file(const std::string& path);

}  // namespace program
}  // namespace flambeau
