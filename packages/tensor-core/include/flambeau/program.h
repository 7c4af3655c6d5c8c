// Programs: traced models as lists of operator calls, which run without Python.
//
// Note [Programs]
// flambeau.jit.trace records the operators that a function or model calls for example inputs. flambeau.jit.save writes
// them as text, together with the parameters, to a safetensors file:
//
//     input %0 image
//     %1 = conv2d(%0, @conv.weight, @conv.bias, [1], [0], [1], 1)  # conv, model.py:12
//     %2 = size(%1, 0)
//     %3 = reshape(%1, [%2, -1])
//     return %3
//
// %n is a computed value, @name a tensor of the file. Operators have the names and parameters that they have in Python
// (`flambeau.conv2d`), and all parameters are given. src/program/operators_*.cpp list the operators.
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
// An argument or a result.
struct Value : std::variant<None, bool, int64_t, double, Complex<double>, std::string, Tensor, Dtype, Device,
                            MemoryFormat, Values> {
  using variant::variant;
};

// Raised if the inputs of a run would take another branch than the inputs for which the program was made.
class FLAMBEAU_API RequirementError : public Error {
 public:
  using Error::Error;
};

// One operator of a profiled run, or a group of fused operators.
struct ProfiledStep {
  struct Operand {
    int value;  // number n of %n in the program; -1 for a tensor of the state
    Shape shape;
    Dtype dtype;
    const void* memory;  // address of the storage, which views share
  };
  std::vector<int> calls;  // numbers of the calls in the program's text
  bool as_one;             // false if the operators of a group, or a pair of convolutions, ran one by one
  int64_t nanoseconds;
  std::vector<Operand> reads, writes;
  std::vector<int> released;  // values that are not read afterwards
};

// Two operators, one of which reads the result of the other, and the reason why they are not fused.
struct Boundary {
  int producer, consumer;  // numbers of calls in the program's text
  std::string reason;
};

class FLAMBEAU_API Program {
 public:
  // Loads a file that flambeau.jit.save wrote. Raises ValueError if the file is damaged or has another format.
  static Program load(const std::string& path);
  // Parses a text. Its tensors (@name) are arguments of each run. Raises ValueError that names the invalid line.
  //   fuse: if true, operators may be fused.
  static Program parse(std::string_view text, bool fuse = true);

  // Runs the program on one tensor per input, in order. Several threads can run it at the same time unless it changes
  // its state. Errors of operators name the line of the model that called them.
  Tensors operator()(const Tensors& inputs) const;
  Values run(const Values& inputs, const Tensors& state) const;
  Values run(const Values& inputs, const Values& state) const;

  const std::vector<std::string>& input_names() const;
  const std::vector<std::string>& state_names() const;  // in the order of `state`
  // The parameters and buffers by name; empty for a parsed program.
  const std::map<std::string, Tensor>& state() const { return state_; }
  // Moves the parameters and buffers to a device. Inputs must be on the same device.
  void to(Device device);
  const std::string& text() const;
  // Returns the operators in execution order, with fused operators on one line.
  std::string plan() const;
  // Runs the program once and measures its operators.
  std::vector<ProfiledStep> profile(const Values& inputs, const Values& state) const;
  // Returns the pairs of adjacent operators that are not fused.
  std::vector<Boundary> boundaries() const;

  // The operators that programs can call, with the number of their parameters.
  static std::vector<std::pair<std::string, int>> operators();

  // Lets programs call an operator of an extension.
  //   name: "namespace::name".
  //   function: takes a value for each parameter and returns the results.
  // A later operator of the same name replaces the operator in programs that are parsed after its registration. Raises
  // ValueError for a name of another form.
  using Function = std::function<Values(const Values&)>;
  static void register_operator(const std::string& name, int parameters, Function function);

  struct Body;

 private:
  std::shared_ptr<const Body> body_;
  std::map<std::string, Tensor> state_;
  Tensors in_order_;  // `state` in the order of the program's numbers
};

}  // namespace flambeau
