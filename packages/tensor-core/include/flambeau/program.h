// Programs: what a model computes, as a list of calls of operators that runs without Python.
//
// Note [Programs]
// flambeau.jit.trace notes the operators that a function or model calls for one example, and flambeau.jit.save writes
// them, as text, beside the parameters, into one safetensors file:
//
//     input %0 image
//     %1 = conv2d(%0, @conv.weight, @conv.bias, [1], [0], [1], 1)  # conv, model.py:12
//     %2 = size(%1, 0)
//     %3 = reshape(%1, [%2, -1])
//     return %3
//
// %n is a value that is computed, @name a tensor of the file. Every operator has the name and the parameters that it
// has in Python (`flambeau.conv2d`), all of them given; src/program/operators_*.cpp say which there are.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "flambeau/memory_format.h"
#include "flambeau/operators.h"

namespace flambeau {

struct None {};
struct Value;
using Values = std::vector<Value>;
// What an argument or a result can be.
struct Value : std::variant<None, bool, int64_t, double, Complex<double>, std::string, Tensor, Dtype, Device,
                            MemoryFormat, Values> {
  using variant::variant;
};

class FLAMBEAU_API Program {
 public:
  // From a file that flambeau.jit.save has written. Raises ValueError where it is none, or damaged.
  static Program load(const std::string& path);
  // From its text; the tensors that it names with @ are given at each run. Raises ValueError with the line at fault.
  static Program parse(std::string_view text);

  // Runs it: one tensor for each input, in order. Any number of threads may do so at once, if it changes no state.
  // Raises what its operators raise, with the place in the model that called them.
  Tensors operator()(const Tensors& inputs) const;
  Values run(const Values& inputs, const Tensors& state) const;

  const std::vector<std::string>& input_names() const;
  const std::vector<std::string>& state_names() const;  // in the order of `state`
  // Parameters and buffers by their names; none of a program that was parsed.
  const std::map<std::string, Tensor>& state() const { return state_; }
  // Moves them to a device. Inputs have to be there, too.
  void to(Device device);
  const std::string& text() const;

  // The names of the library's operators that programs can call, and the number of each one's parameters.
  static std::vector<std::pair<std::string, int>> operators();

  // Lets programs call an operator of an extension.
  //   name: "namespace::name".
  //   function: takes a value for each parameter and returns the results.
  // A later operator of the same name replaces it in programs that are parsed from then on. Raises ValueError for
  // another name.
  using Function = std::function<Values(const Values&)>;
  static void register_operator(const std::string& name, int parameters, Function function);

  struct Body;

 private:
  std::shared_ptr<const Body> body_;
  std::map<std::string, Tensor> state_;
  Tensors in_order_;  // `state`, as the program numbers it
};

}  // namespace flambeau
