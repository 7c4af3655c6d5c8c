// Optimisations: functions that change a program without changing its results. Note [Fusion]
#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <sstream>

#include "program/merged_product.h"
#include "program/passes.h"

namespace flambeau::program {

using Body = Program::Body;
using Argument = Body::Argument;
using Instruction = Body::Instruction;

bool writes(const Instruction& instruction) {
  if (!instruction.function) return false;  // the instruction consists of several operators
  const std::string& name = instruction.function->name;
  return instruction.function->registered || instruction.function->orders_others || name == "set_at" ||
         name == "write_out" || (name.size() > 1 && name.back() == '_' && name[name.size() - 2] != '_');
}

void each_operator(const Instruction& instruction, const std::function<void(const Instruction&)>& body) {
  if (instruction.group) {
    for (const Instruction& member : instruction.group->instructions) each_operator(member, body);
  } else if (instruction.merged) {
    if (instruction.merged->source) each_operator(*instruction.merged->source, body);
    each_operator(instruction.merged->product, body);
    if (instruction.merged->norm) body(*instruction.merged->norm);
    if (instruction.merged->after) each_operator(*instruction.merged->after, body);
  } else {
    body(instruction);
  }
}

std::vector<int> count_uses(const Body& body) {
  std::vector<int> uses(size_t(body.registers), 0);
  const auto count = [&](int r) { ++uses[size_t(r)]; };
  for (const Instruction& instruction : body.instructions)
    each_operator(instruction, [&](const Instruction& single) { each_register(single, count); });
  for (const Argument& output : body.outputs) each_register(output, count);
  return uses;
}

namespace {

void rename(Argument& argument, const std::map<int, int>& names) {
  if (argument.kind == Argument::Register)
    if (const auto name = names.find(argument.number); name != names.end()) argument.number = name->second;
  for (Argument& item : argument.items) rename(item, names);
}

// Returns true for operators whose results never share memory with an argument.
bool allocates_result(const Instruction& instruction) {
  static const std::set<std::string_view> names = {"conv1d", "conv2d", "conv3d",     "linear",     "matmul",    "mm",
                                                   "bmm",    "addmm",  "batch_norm", "layer_norm", "group_norm"};
  std::vector<Argument> operands;
  return names.contains(instruction.function->name) || (!writes(instruction) && lowered(instruction, operands));
}

// If nothing else shares the memory of register %1, assigns the result of `relu_(%1)` to a new register. Then the
// operator can be fused as if it were `relu(%1)`.
void name_in_place_results(Body& body) {
  std::map<int, int> names;         // for each register that was changed in place: the register of its current value
  std::map<int, bool> has_aliases;  // for registers with new memory: whether a view of it may exist
  for (Instruction& instruction : body.instructions) {
    for (Argument& a : instruction.arguments) rename(a, names);
    const bool fresh = allocates_result(instruction);
    const bool in_place = writes(instruction) && !instruction.arguments.empty() &&
                          instruction.arguments[0].kind == Argument::Register && instruction.results.empty();
    std::vector<Argument> operands;
    if (in_place && lowered(instruction, operands)) {
      const int changed = instruction.arguments[0].number;
      const auto known = has_aliases.find(changed);
      if (known != has_aliases.end() && !known->second) {
        const int fresh_register = body.registers++;
        for (auto& [name, latest] : names)
          if (latest == changed) latest = fresh_register;
        names[changed] = fresh_register;
        instruction.results = {fresh_register};
        has_aliases[fresh_register] = false;
        continue;
      }
    }
    if (!fresh) each_register(instruction, [&](int r) { has_aliases[r] = true; });
    for (const int r : instruction.results) has_aliases[r] = !fresh;
  }
  for (Argument& output : body.outputs) rename(output, names);
}

// An incomplete group: the indices of its instructions, and the registers that they compute.
struct OpenGroup {
  std::vector<size_t> members;
  std::set<int> results;  // registers that members compute
  // True if an instruction outside the group reads a result. This instruction runs after the group, so the group is
  // then complete.
  bool is_read = false;
};

constexpr size_t kMaxSteps = 48;

class Fuser {
 public:
  // The operators that can join groups: all operators, or only pointwise ones, whose groups also run as one if
  // gradients are needed.
  enum class Members : uint8_t { All, Pointwise };

  // `boundaries`: if not null, the operators that are not fused are appended to it.
  explicit Fuser(Body& body, std::vector<Boundary>* boundaries = nullptr, Members members = Members::All)
      : body_(body), boundaries_(boundaries), members_(members) {}

  void run() {
    std::vector<OpenGroup> groups, done;
    const auto close_all = [&] {
      std::ranges::move(groups, std::back_inserter(done));
      groups.clear();
    };
    for (size_t i = 0; i < body_.instructions.size(); ++i) {
      const Instruction& instruction = body_.instructions[i];
      std::vector<Argument> operands;
      const bool joins = instruction.results.size() == 1 && can_join(instruction, operands);
      if (boundaries_) explain(i, joins, groups);
      if (!joins && writes(instruction)) {
        close_all();
        continue;
      }
      std::vector<OpenGroup> read = joins ? take_read(instruction, groups) : std::vector<OpenGroup>();
      mark_read(instruction, groups);
      if (!joins) continue;
      if (writes(instruction)) close_all();  // other groups may read the memory that the instruction changes
      OpenGroup& home = groups.emplace_back(merged(read));
      home.members.push_back(i);
      home.results.insert(instruction.results[0]);
    }
    close_all();
    replace(done);
  }

 private:
  bool can_join(const Instruction& instruction, std::vector<Argument>& operands) const {
    const std::optional<FusedStep> step = lowered(instruction, operands);
    return step && (members_ == Members::All || step->kind == FusedStep::Pointwise);
  }

  // Considers the operators that compute operands of an instruction but are not in its group. Appends them and the
  // reasons to `boundaries_`.
  void explain(size_t i, bool joins, const std::vector<OpenGroup>& groups) {
    const Instruction& whole = body_.instructions[i];
    const Instruction& consumer = whole.merged ? whole.merged->product : whole;
    std::set<size_t> producers;
    each_register(consumer, [&](int r) {
      if (const auto found = producer_of_.find(r); found != producer_of_.end()) producers.insert(found->second);
    });
    std::set<const OpenGroup*> joined;
    size_t members = 0;
    for (const size_t p : producers) {
      const Instruction& producer = last_of(body_.instructions[p]);
      const auto home =
          std::ranges::find_if(groups, [&](const OpenGroup& g) { return std::ranges::count(g.members, p) > 0; });
      std::string reason;
      if (!joins)
        reason = reason_not_fused(consumer);
      else if (!can_join_.contains(p))
        reason = reason_not_fused(producer);
      else if (home == groups.end())
        reason = "an operator in between changes a tensor in place";
      else if (home->is_read)
        reason = "another operator reads the result of " + producer.function->name + " first";
      else if (!joined.contains(&*home) && members + home->members.size() >= kMaxSteps)
        reason = "a kernel has at most " + std::to_string(kMaxSteps) + " operators";
      else if (joined.insert(&*home).second)
        members += home->members.size();
      if (!reason.empty()) boundaries_->push_back({producer.number, consumer.number, std::move(reason)});
    }
    for (const int r : whole.results) producer_of_[r] = i;
    if (joins) can_join_.insert(i);
  }

  // Returns the operator that computes the result of an instruction. Epilogues are merged later.
  static const Instruction& last_of(const Instruction& instruction) {
    if (!instruction.merged) return instruction;
    return instruction.merged->norm ? *instruction.merged->norm : instruction.merged->product;
  }

  static std::string reason_not_fused(const Instruction& instruction) {
    const std::string& name = instruction.function->name;
    return name + (has_step(instruction) ? " has no fused kernel for these arguments" : " has no fused kernel");
  }

  // Removes and returns the groups that compute operands of an instruction and that the instruction can join.
  static std::vector<OpenGroup> take_read(const Instruction& instruction, std::vector<OpenGroup>& groups) {
    std::vector<OpenGroup> read;
    size_t members = 0;
    std::erase_if(groups, [&](OpenGroup& g) {
      bool reads = false;
      each_register(instruction, [&](int r) { reads |= g.results.contains(r); });
      if (!reads || g.is_read || members + g.members.size() >= kMaxSteps) return false;
      members += g.members.size();
      read.push_back(std::move(g));
      return true;
    });
    return read;
  }

  static OpenGroup merged(std::vector<OpenGroup>& groups) {
    OpenGroup all;
    for (OpenGroup& g : groups) {
      all.members.insert(all.members.end(), g.members.begin(), g.members.end());
      all.results.merge(g.results);
    }
    std::ranges::sort(all.members);
    return all;
  }

  static void mark_read(const Instruction& instruction, std::vector<OpenGroup>& groups) {
    each_register(instruction, [&](int r) {
      for (OpenGroup& g : groups) g.is_read |= g.results.contains(r);
    });
  }

  void replace(const std::vector<OpenGroup>& groups) {
    std::map<size_t, const OpenGroup*> at;  // key: index of the last member
    std::set<size_t> members;
    for (const OpenGroup& g : groups)
      if (g.members.size() > 1) {
        at[g.members.back()] = &g;
        members.insert(g.members.begin(), g.members.end());
      }
    for (size_t i = 0; i < body_.instructions.size(); ++i) note_overwrite(i);
    std::map<int, int> uses;
    for (const Instruction& instruction : body_.instructions) each_register(instruction, [&](int r) { ++uses[r]; });
    for (const Argument& output : body_.outputs) each_register(output, [&](int r) { ++uses[r]; });
    std::vector<Instruction> out;
    for (size_t i = 0; i < body_.instructions.size(); ++i) {
      if (const auto found = at.find(i); found != at.end())
        out.push_back(fused(*found->second, uses));
      else if (!members.contains(i))
        out.push_back(std::move(body_.instructions[i]));
    }
    body_.instructions = std::move(out);
  }

  // Records the tensor that an instruction changes in place, unless it belongs to the state.
  void note_overwrite(size_t i) {
    const Instruction& instruction = body_.instructions[i];
    if (!writes(instruction) || instruction.function->orders_others) return;
    const bool changes_state = !instruction.function->registered && instruction.arguments[0].kind == Argument::State;
    if (changes_state) return;
    std::vector<Argument> operands;
    if (instruction.results.size() == 1 && lowered(instruction, operands))
      overwritten_.insert(instruction.arguments[0].number);  // shares no memory: see name_in_place_results
    else
      last_overwrite_ = i;
  }

  // Returns true if no instruction overwrites a value that the backward pass of a group, or of earlier operators, may
  // read.
  bool can_record(const OpenGroup& open, const FusedGroup& group) const {
    return open.members.back() >= last_overwrite_ &&
           std::ranges::none_of(group.steps, [](const FusedStep& step) { return step.written >= 0; }) &&
           std::ranges::none_of(open.results, [&](int r) { return overwritten_.contains(r); }) &&
           std::ranges::none_of(group.arguments, [&](const Argument& a) {
             return a.kind == Argument::Register && overwritten_.contains(a.number);
           });
  }

  Instruction fused(const OpenGroup& open, const std::map<int, int>& uses) {
    auto group = std::make_shared<FusedGroup>();
    Instruction out;
    std::map<int, int> step_of;  // for each register, the step that computes it
    std::map<int, int> inside;   // for each register, the number of uses in the group
    for (const size_t i : open.members) {
      Instruction& instruction = body_.instructions[i];
      each_register(instruction, [&](int r) { ++inside[r]; });
      std::vector<Argument> operands;
      FusedStep step = *lowered(instruction, operands);
      for (Argument& a : operands) {
        const auto computed = a.kind == Argument::Register ? step_of.find(a.number) : step_of.end();
        step.operands.push_back(computed != step_of.end() ? StepOperand{true, computed->second}
                                                          : StepOperand{false, argument(*group, std::move(a))});
      }
      step_of[instruction.results[0]] = int(group->steps.size());
      group->steps.push_back(std::move(step));
      group->instructions.push_back(std::move(instruction));
    }
    for (size_t s = 0; s < group->instructions.size(); ++s) {
      const int r = group->instructions[s].results[0];
      const auto all = uses.find(r);
      if (all == uses.end() || all->second == inside[r]) continue;
      group->outputs.push_back(int(s));
      out.results.push_back(r);
    }
    group->dies.resize(group->arguments.size());
    for (const Argument& a : group->arguments)
      group->is_read_elsewhere.push_back(a.kind != Argument::Register || uses.at(a.number) > inside[a.number] ||
                                         std::ranges::count(body_.input_registers, a.number) > 0);
    group->can_record = can_record(open, *group);
    fuse_pointwise(*group, out.results);
    out.group = group;
    return out;
  }

  // Fuses the pointwise operators of a group that also contains other operators, for runs that need gradients.
  void fuse_pointwise(FusedGroup& group, const std::vector<int>& results) const {
    const auto is_pointwise = [](const FusedStep& step) { return step.kind == FusedStep::Pointwise; };
    if (!group.can_record || std::ranges::all_of(group.steps, is_pointwise)) return;
    Body part;
    part.registers = body_.registers;
    for (size_t a = 0; a < group.arguments.size(); ++a)
      if (group.arguments[a].kind == Argument::Register && group.is_read_elsewhere[a])
        part.input_registers.push_back(group.arguments[a].number);
    part.instructions = std::move(group.instructions);
    for (const int r : results) part.outputs.push_back({Argument::Register, r, {}, {}});
    Fuser(part, nullptr, Members::Pointwise).run();
    group.instructions = std::move(part.instructions);
  }

  static int argument(FusedGroup& group, Argument a) {
    if (a.kind != Argument::Constant)
      for (size_t i = 0; i < group.arguments.size(); ++i)
        if (group.arguments[i].kind == a.kind && group.arguments[i].number == a.number) return int(i);
    group.arguments.push_back(std::move(a));
    return int(group.arguments.size()) - 1;
  }

  Body& body_;
  std::vector<Boundary>* boundaries_;
  Members members_;
  size_t last_overwrite_ = 0;          // the last instruction that may overwrite any tensor of the program
  std::set<int> overwritten_;          // registers that instructions overwrite
  std::map<int, size_t> producer_of_;  // index of the instruction that computes a register, for `explain`
  std::set<size_t> can_join_;          // instructions that can be part of a group, for `explain`
};

bool is_disabled() {
  const char* const setting = std::getenv("FLAMBEAU_FUSION");
  return setting && std::string_view(setting) == "0";
}

}  // namespace

namespace {

void find_last_uses(Instruction& instruction, std::set<int>& later);

// Finds the registers whose last use is in `inner`, a part of `outer`. Adds them to the last uses of `outer`.
void find_inner_last_uses(Instruction& outer, Instruction& inner, std::set<int>& later) {
  find_last_uses(inner, later);
  outer.last.insert(outer.last.end(), inner.last.begin(), inner.last.end());
}

void find_last_uses(Instruction& instruction, std::set<int>& later) {
  instruction.last.clear();
  if (instruction.group) {
    auto group = std::make_shared<FusedGroup>(*instruction.group);
    for (auto member = group->instructions.rbegin(); member != group->instructions.rend(); ++member)
      find_inner_last_uses(instruction, *member, later);
    for (size_t a = 0; a < group->arguments.size(); ++a)
      group->dies[a] = group->arguments[a].kind == Argument::Register &&
                       std::ranges::count(instruction.last, group->arguments[a].number) > 0;
    instruction.group = std::move(group);
    return;
  }
  if (instruction.merged) {
    auto merged = std::make_shared<MergedProduct>(*instruction.merged);
    if (merged->after) find_inner_last_uses(instruction, *merged->after, later);
    if (merged->norm) find_inner_last_uses(instruction, *merged->norm, later);
    find_inner_last_uses(instruction, merged->product, later);
    if (merged->source) find_inner_last_uses(instruction, *merged->source, later);
    instruction.merged = std::move(merged);
    return;
  }
  std::set<int> used(instruction.results.begin(), instruction.results.end());
  each_register(instruction, [&](int r) { used.insert(r); });
  for (const int r : used)
    if (later.insert(r).second) instruction.last.push_back(r);
}

}  // namespace

void find_last_uses(Body& body) {
  std::set<int> later;
  for (const Argument& output : body.outputs) each_register(output, [&](int r) { later.insert(r); });
  for (auto instruction = body.instructions.rbegin(); instruction != body.instructions.rend(); ++instruction)
    find_last_uses(*instruction, later);
}

void optimize(Body& body, bool fuse) {
  if (fuse && !is_disabled()) {
    const auto packed = std::make_shared<std::atomic<int64_t>>(0);
    name_in_place_results(body);
    fold_normalizations(body, packed);
    Fuser(body).run();
    merge_epilogues(body, packed);
    pair_convolutions(body);
  }
  find_last_uses(body);
}

std::vector<Boundary> boundaries(Body body) {
  std::vector<Boundary> out;
  if (is_disabled()) return out;
  const auto packed = std::make_shared<std::atomic<int64_t>>(0);
  name_in_place_results(body);
  fold_normalizations(body, packed);
  Fuser(body, &out).run();
  merge_epilogues(body, packed);
  pair_convolutions(body);
  std::map<int, size_t> position;  // position of the instruction that contains a call
  for (size_t i = 0; i < body.instructions.size(); ++i)
    each_operator(body.instructions[i], [&](const Instruction& single) { position[single.number] = i; });
  std::erase_if(out, [&](const Boundary& b) { return position[b.producer] == position[b.consumer]; });
  return out;
}

std::string described(const Body& body) {
  std::ostringstream out;
  const auto line = [&](const Instruction& instruction, const char* indent) {
    out << indent;
    for (size_t i = 0; i < instruction.results.size(); ++i) out << (i ? ", %" : "%") << instruction.results[i];
    out << (instruction.results.empty() ? "" : " = ");
  };
  for (const Instruction& instruction : body.instructions) {
    line(instruction, "");
    std::vector<std::string> names;
    each_operator(instruction, [&](const Instruction& single) { names.push_back(single.function->name); });
    if (names.size() == 1) {
      out << names[0] << "\n";
      continue;
    }
    out << "fused(";
    for (size_t i = 0; i < names.size(); ++i) out << (i ? ", " : "") << names[i];
    out << ")\n";
  }
  return out.str();
}

}  // namespace flambeau::program
