// Execution of programs.
#include "flambeau/program.h"

#include <chrono>

#include "flambeau/cuda.h"
#include "flambeau/operators/linalg.h"
#include "program/merged_product.h"
#include "program/passes.h"

namespace flambeau {

namespace {

using Body = Program::Body;

// One run of a program, with its registers.
class Run {
 public:
  Run(const Body& body, const Values& inputs, const Values& state)
      : body_(body), state_(state), registers_(size_t(body.registers)) {
    // This check comes before the text is built, because building it takes time.
    if (inputs.size() != body.inputs.size())
      require<TypeError>(false, "the program takes ", body.inputs.size(), " inputs (", joined(body.inputs), "), got ",
                         inputs.size());
    for (size_t i = 0; i < inputs.size(); ++i) registers_[size_t(body.input_registers[i])] = inputs[i];
    require(state.size() == body.state.size(), "the program has a state of ", body.state.size(), " tensors, got ",
            state.size());
  }

  Values outputs() {
    // The modes are restored at the end, because set_grad_mode changes them.
    const RecordingModes restored(recording_modes());
    for (const Body::Instruction& instruction : body_.instructions) run(instruction);
    Values out;
    out.reserve(body_.outputs.size());
    for (const Body::Argument& argument : body_.outputs) out.push_back(value_of(argument));
    return out;
  }

  std::vector<ProfiledStep> profile() {
    const RecordingModes restored(recording_modes());
    std::vector<ProfiledStep> steps;
    for (const Body::Instruction& instruction : body_.instructions) {
      ProfiledStep step;
      program::each_operator(instruction, [&](const Body::Instruction& single) {
        step.calls.push_back(single.number);
        for (const Body::Argument& argument : single.arguments) note(argument, step.reads);
      });
      const auto start = std::chrono::steady_clock::now();
      step.as_one = run(instruction);
      step.nanoseconds = (std::chrono::steady_clock::now() - start) / std::chrono::nanoseconds(1);
      for (const int n : instruction.results) note({Body::Argument::Register, n, {}, {}}, step.writes);
      step.released = instruction.last;
      steps.push_back(std::move(step));
    }
    return steps;
  }

 private:
  static constexpr size_t kInlineArguments = 16;  // maximum number of arguments for which a call needs no heap memory

  // Returns false if operators that were merged ran one by one.
  bool run(const Body::Instruction& instruction) {
    if (instruction.group) return run_group(instruction);
    if (instruction.merged) return run_merged(instruction);
    run_single(instruction);
    return true;
  }

  // Appends the tensors of an argument to `operands`, unless they are already there. Skips results of operators in the
  // same step, which do not exist yet.
  void note(const Body::Argument& argument, std::vector<ProfiledStep::Operand>& operands) {
    for (const Body::Argument& item : argument.items) note(item, operands);
    if (argument.kind == Body::Argument::List) return;
    const Tensor* const t = std::get_if<Tensor>(found(argument));
    if (!t || !*t) return;
    const int value = argument.kind == Body::Argument::Register ? argument.number : -1;
    const void* const memory = t->impl()->storage.get();
    for (const ProfiledStep::Operand& other : operands)
      if (other.value == value && other.memory == memory) return;
    operands.push_back({value, t->shape(), t->dtype(), memory});
  }

  static std::string joined(const std::vector<std::string>& names) {
    std::string out;
    for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
    return out;
  }

  Value value_of(const Body::Argument& argument) {
    if (argument.kind != Body::Argument::List) return *found(argument);
    Values items;
    items.reserve(argument.items.size());
    for (const Body::Argument& item : argument.items) items.push_back(value_of(item));
    return items;
  }
  const Value* found(const Body::Argument& argument) const {
    if (argument.kind == Body::Argument::Constant) return &argument.value;
    return argument.kind == Body::Argument::State ? &state_[size_t(argument.number)]
                                                  : &registers_[size_t(argument.number)];
  }

  bool run_group(const Body::Instruction& instruction) {
    const program::FusedGroup& group = *instruction.group;
    SmallVector<const Value*, kInlineArguments> arguments;
    for (const Body::Argument& argument : group.arguments) arguments.push_back(found(argument));
    results_.clear();
    if (program::run_fused(group, arguments.data(), results_)) {
      keep_results(instruction);
      return true;
    }
    for (const Body::Instruction& single : group.instructions) run(single);
    return false;
  }

  using MergedArguments = SmallVector<const Value*, 2 * kInlineArguments>;
  MergedArguments arguments_of(const program::MergedProduct& merged) const {
    MergedArguments out;
    for (const Body::Argument& argument : merged.product.arguments) out.push_back(found(argument));
    if (merged.norm)
      for (const Body::Argument& argument : merged.norm->arguments) out.push_back(found(argument));
    for (const Body::Argument& argument : merged.arguments) out.push_back(found(argument));
    return out;
  }

  bool run_merged(const Body::Instruction& instruction) {
    const program::MergedProduct& merged = *instruction.merged;
    const MergedArguments arguments = arguments_of(merged);
    results_.resize(1);
    if (merged.source) {
      const MergedArguments of_source = arguments_of(*merged.source->merged);
      if (program::run_pair(merged, of_source.data(), arguments.data(), results_[0])) {
        keep_results(instruction);
        return true;
      }
      run(*merged.source);
      results_.resize(1);
    }
    const program::Merged ran = program::run_merged(merged, arguments.data(), results_[0]);
    if (ran == program::Merged::All) {
      keep_results(instruction);
      return !merged.source;
    }
    const Body::Instruction& last = merged.norm ? *merged.norm : merged.product;
    if (ran == program::Merged::Product) {
      keep_results(last);
      for (const int n : merged.product.last) registers_[size_t(n)] = None();
    } else {
      run(merged.product);
      if (merged.norm) run(*merged.norm);
    }
    if (merged.after) run(*merged.after);
    return false;
  }

  void run_single(const Body::Instruction& instruction) {
    const size_t count = instruction.arguments.size();
    SmallVector<const Value*, kInlineArguments> arguments;
    Values lists;                                       // lists that are created for this call
    if (instruction.makes_lists) lists.reserve(count);  // memory is reserved, because pointers to the lists are stored
    for (const Body::Argument& argument : instruction.arguments) {
      if (argument.kind == Body::Argument::List) lists.push_back(value_of(argument));
      arguments.push_back(argument.kind == Body::Argument::List ? &lists.back() : found(argument));
    }
    results_.clear();
    try {
      call(instruction, arguments.data(), count);
    } catch (Error& error) {
      error.append(location_of(instruction));
      throw;
    }
    keep_results(instruction);
  }

  void keep_results(const Body::Instruction& instruction) {
    for (size_t i = 0; i < instruction.results.size(); ++i)
      registers_[size_t(instruction.results[i])] = std::move(results_[i]);
    for (const int n : instruction.last) registers_[size_t(n)] = None();
  }

  void call(const Body::Instruction& instruction, const Value* const* arguments, size_t count) {
    const program::Operator& function = *instruction.function;
    const Device device = device_among(arguments, count);
    if (device == DeviceType::Cpu) {
      function.run(function, arguments, results_);
    } else {
      const OnDevice there(device, function.name.c_str());
      const cuda::Call scope;
      function.run(function, arguments, results_);
    }
    const size_t wanted = instruction.results.size();
    require<RequirementError>(wanted == 0 || wanted == results_.size(), "the operator returned ", results_.size(),
                              " results, but the program expects ", wanted,
                              ": it was traced with inputs of other sizes");
  }

  // Returns the device of the first tensor that is not on the CPU.
  static Device device_among(const Value* const* arguments, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      if (const Tensor* t = std::get_if<Tensor>(arguments[i])) {
        if (*t && !(t->device() == DeviceType::Cpu)) return t->device();
      } else if (const Values* items = std::get_if<Values>(arguments[i])) {
        for (const Value& item : *items)
          if (const Tensor* t = std::get_if<Tensor>(&item); t && *t && !(t->device() == DeviceType::Cpu))
            return t->device();
      }
    }
    return {};
  }

  static std::string location_of(const Body::Instruction& instruction) {
    return " (in " + instruction.function->name + (instruction.location.empty() ? "" : ", ") + instruction.location +
           ")";
  }

  const Body& body_;
  const Values& state_;
  Values registers_, results_;
};

}  // namespace

Program Program::parse(std::string_view text, bool fuse) {
  Program out;
  Body body = program::read_text(text);
  program::optimize(body, fuse);
  out.body_ = std::make_shared<const Body>(std::move(body));
  return out;
}

Program Program::load(const std::string& path) {
  program::File file = program::read_file(path);
  const auto text = file.metadata.find("program");
  require<ValueError>(text != file.metadata.end(), path,
                      " contains tensors but no program; write it with flambeau.jit.save");
  Program out = parse(text->second);
  for (const std::string& name : out.state_names()) {
    const auto found = file.tensors.find(name);
    require<ValueError>(found != file.tensors.end(), path, " lacks the tensor '", name, "', which its program reads");
    out.in_order_.push_back(found->second);
    out.state_.emplace(name, found->second);
  }
  return out;
}

Values Program::run(const Values& inputs, const Values& state) const { return Run(*body_, inputs, state).outputs(); }
Values Program::run(const Values& inputs, const Tensors& state) const {
  return run(inputs, Values(state.begin(), state.end()));
}

Tensors Program::operator()(const Tensors& inputs) const {
  Tensors out;
  for (const Value& v : run(Values(inputs.begin(), inputs.end()), in_order_)) {
    const Tensor* t = std::get_if<Tensor>(&v);
    require<TypeError>(t, "an output of the program is not a tensor; use run(), which returns values of any type");
    out.push_back(*t);
  }
  return out;
}

void Program::to(Device device) {
  for (size_t i = 0; i < in_order_.size(); ++i)
    state_[body_->state[i]] = in_order_[i] = flambeau::to(in_order_[i], device);
}

const std::vector<std::string>& Program::input_names() const { return body_->inputs; }
const std::vector<std::string>& Program::state_names() const { return body_->state; }
const std::string& Program::text() const { return body_->text; }
std::string Program::plan() const { return program::described(*body_); }
std::vector<ProfiledStep> Program::profile(const Values& inputs, const Values& state) const {
  return Run(*body_, inputs, state).profile();
}
std::vector<Boundary> Program::boundaries() const { return program::boundaries(program::read_text(body_->text)); }

}  // namespace flambeau
