// Derivatives of groups of pointwise operators. Note [Derivatives of groups]
#include "program/differentiated_group.h"

#include <ranges>

#include "flambeau/operators.h"
#include "operators/pointwise/pointwise_derivative.h"
#include "program/group_plan.h"

namespace flambeau::program {

namespace {

constexpr size_t kMaxArguments = 64;  // one bit for each argument

bool has(uint64_t bits, size_t i) { return bits >> i & 1; }

}  // namespace

// Selects the values that a node saves, and finds the steps of its backward pass.
class DifferentiatedGroup::Builder {
 public:
  Builder(const DifferentiatedGroup& group, uint64_t needs)
      : group_(group), steps_(group.forward_.steps), arguments_(group.forward_.arguments.size()) {
    for (size_t i = 0; i < arguments_; ++i) needs_gradient_.push_back(has(needs, i));
    for (const FusedStep& step : steps_) {
      bool needed = false;
      for (size_t k = 0; k < step.operands.size(); ++k) needed |= passes_gradient(step, k);
      needs_gradient_.push_back(needed);
    }
  }

  bool needs_gradient(int value) const { return needs_gradient_[size_t(value)]; }

  // Returns true if any derivative that is needed is not implemented.
  bool lacks_derivative() const {
    for (const FusedStep& step : steps_)
      for (size_t k = 0; k < step.operands.size(); ++k)
        if (const PointwiseRow& row = row_of(step.row);
            has_gradient(row) && !row.expression[k] && needs_gradient(value_of(step.operands[k])))
          return true;
    return false;
  }

  // Returns the values that the node has to save. If such a value is a step that is not an output yet, appends it to
  // `outputs`.
  std::vector<int> choose_saved(std::vector<int>& outputs) {
    find_required(outputs);
    available_ = required_;
    for (size_t s = 0; s < steps_.size(); ++s)
      if (!std::ranges::count(outputs, int(s))) available_[size_t(result(s))] = false;
    std::vector<int> saved;
    for (int value = 0; value < int(required_.size()); ++value) {
      if (!required_[size_t(value)]) continue;
      if (!is_available(value)) {
        if (can_compute(value)) continue;
        available_[size_t(value)] = true;
        outputs.push_back(group_.step_of(value));
      }
      saved.push_back(value);
    }
    return saved;
  }

  // Returns the backward pass for the outputs of the node that have a gradient.
  void build(Backward& out) {
    FusedGroup& group = out.group;
    const size_t saved_steps = size_t(std::ranges::count_if(group_.saved_, [&](int v) { return group_.is_step(v); }));
    group.arguments.resize(arguments_ + saved_steps + group_.differentiated_.size());
    group.dies.resize(group.arguments.size());
    places_.resize(needs_gradient_.size());
    gradients_.resize(needs_gradient_.size());
    for (size_t i = 0; i < arguments_; ++i) places_[i] = StepOperand{false, int(i)};
    int next = int(arguments_);
    for (const int value : group_.saved_)
      if (group_.is_step(value)) places_[size_t(value)] = StepOperand{false, next++};
    for (size_t i = 0; i < group_.differentiated_.size(); ++i, ++next)
      if (has(out.given, i)) {
        const int step = group_.forward_.outputs[size_t(group_.differentiated_[i])];
        gradients_[size_t(result(size_t(step)))] = StepOperand{false, next};
      }
    for (size_t s = steps_.size(); s-- > 0;)
      if (gradients_[size_t(result(s))]) add_derivatives(out, s);
    for (size_t i = 0; i < group_.inputs_.size(); ++i)
      if (const auto& total = gradients_[size_t(group_.inputs_[i].argument)]; total && group_.inputs_[i].step < 0)
        add_output(out, i, *total);
  }

  // Returns the inputs of the node in the order in which the engine would add their gradients without fusion.
  std::vector<Input> find_inputs() const {
    std::vector<Input> inputs;
    for (size_t s = steps_.size(); s-- > 0;)
      for (size_t k = 0; k < steps_[s].operands.size(); ++k) {
        const StepOperand& o = steps_[s].operands[k];
        if (o.is_step || !passes_gradient(steps_[s], k)) continue;
        const Input all{o.number}, one{o.number, int(s), k};
        if (group_.forward_.is_read_elsewhere[size_t(o.number)])
          inputs.push_back(one);
        else if (!std::ranges::count(inputs, all))
          inputs.push_back(all);
      }
    return inputs;
  }

 private:
  int result(size_t step) const { return int(arguments_ + step); }
  int value_of(const StepOperand& o) const { return o.is_step ? result(size_t(o.number)) : o.number; }

  bool passes_gradient(const FusedStep& step, size_t operand) const {
    return row_of(step.row).expression[operand] && needs_gradient(value_of(step.operands[operand]));
  }

  // Returns the values that the derivative of a step reads, in the order of its kernel.
  SmallVector<int, kMaxOperands + 1> reads(size_t s, size_t operand) const {
    const PointwiseRow& row = row_of(steps_[s].row);
    SmallVector<int, kMaxOperands + 1> out;
    for (int k = 0; k <= row.arity; ++k)
      if (has(row.reads[operand], size_t(k)))
        out.push_back(k < row.arity ? value_of(steps_[s].operands[size_t(k)]) : result(s));
    return out;
  }

  // Finds the values that the derivatives read, starting from the steps in `outputs`.
  void find_required(const std::vector<int>& outputs) {
    required_.assign(needs_gradient_.size(), false);
    std::vector<bool> reached(steps_.size());
    for (const int s : outputs) reached[size_t(s)] = true;
    for (size_t s = steps_.size(); s-- > 0;) {
      if (!reached[s]) continue;
      for (size_t k = 0; k < steps_[s].operands.size(); ++k) {
        if (!passes_gradient(steps_[s], k)) continue;
        if (const StepOperand& o = steps_[s].operands[k]; o.is_step) reached[size_t(o.number)] = true;
        for (const int value : reads(s, k)) required_[size_t(value)] = true;
      }
    }
  }

  bool is_available(int value) const { return available_[size_t(value)]; }
  // Returns true if the backward pass can compute a value from values that are available or constant.
  bool can_compute(int value) const {
    if (is_available(value)) return true;
    if (!group_.is_step(value))
      return group_.forward_.arguments[size_t(value)].kind == Program::Body::Argument::Constant;
    return std::ranges::all_of(steps_[size_t(group_.step_of(value))].operands,
                               [&](const StepOperand& o) { return can_compute(value_of(o)); });
  }

  // Returns the location of a value in the backward pass. Adds the steps that compute the value if it is not saved.
  StepOperand place_of(FusedGroup& group, int value) {
    std::optional<StepOperand>& place = places_[size_t(value)];
    if (!place) {
      FusedStep step = steps_[size_t(group_.step_of(value))];
      for (StepOperand& o : step.operands) o = place_of(group, value_of(o));
      place = added(group, std::move(step));
    }
    return *place;
  }

  void add_derivatives(Backward& out, size_t s) {
    FusedGroup& group = out.group;
    for (size_t k = 0; k < steps_[s].operands.size(); ++k) {
      if (!passes_gradient(steps_[s], k)) continue;
      StepOperand gradient = derivative(group, s, k);
      const int target = value_of(steps_[s].operands[k]);
      if (const auto own = std::ranges::find(group_.inputs_, Input{target, int(s), k}); own != group_.inputs_.end()) {
        add_output(out, size_t(own - group_.inputs_.begin()), gradient);
        continue;
      }
      std::optional<StepOperand>& total = gradients_[size_t(target)];
      if (total) {
        FusedStep sum;
        sum.row = op::add;
        sum.operands.push_back(*total);
        sum.operands.push_back(gradient);
        gradient = added(group, std::move(sum));
      }
      total = gradient;
    }
  }

  // Returns the contribution of a step to the gradient of its operand k.
  StepOperand derivative(FusedGroup& group, size_t s, size_t k) {
    const StepOperand& gradient = *gradients_[size_t(result(s))];
    if (is_identity(steps_[s], k)) return gradient;
    FusedStep step;
    step.row = steps_[s].row;
    step.derivative = int(k);
    step.operands.push_back(gradient);
    for (const int value : reads(s, k)) step.operands.push_back(place_of(group, value));
    return added(group, std::move(step));
  }

  // Returns true if the gradient of an operand is equal to the gradient of the result.
  static bool is_identity(const FusedStep& step, size_t operand) {
    const PointwiseRow& row = row_of(step.row);
    if (row.reads[operand]) return false;
    const NoRecording off;
    const OnDevice here{Device()};
    const Tensor gradient = zeros({1}, Dtype::float32), values[kMaxOperands + 1];
    return row.expression[operand](gradient, values, values[row.arity]).same(gradient);
  }

  static void add_output(Backward& out, size_t input, const StepOperand& gradient) {
    if (!has(out.needs, input)) return;
    out.gradients.emplace_back(int(input), gradient);
    if (gradient.is_step && !std::ranges::count(out.group.outputs, gradient.number))
      out.group.outputs.push_back(gradient.number);
  }

  static StepOperand added(FusedGroup& group, FusedStep step) {
    group.steps.push_back(std::move(step));
    return {true, int(group.steps.size()) - 1};
  }

  const DifferentiatedGroup& group_;
  const std::vector<FusedStep>& steps_;
  size_t arguments_;
  std::vector<bool> needs_gradient_, required_, available_;  // one element for each value
  std::vector<std::optional<StepOperand>> places_, gradients_;
};

DifferentiatedGroup::DifferentiatedGroup(const FusedGroup& group, uint64_t needs) : needs_(needs) {
  const auto is_pointwise = [](const FusedStep& step) { return step.kind == FusedStep::Pointwise; };
  if (!std::ranges::all_of(group.steps, is_pointwise)) return;
  forward_.arguments = group.arguments;
  forward_.dies = group.dies;
  forward_.is_read_elsewhere = group.is_read_elsewhere;
  forward_.steps = group.steps;
  forward_.outputs = group.outputs;
  results_ = group.outputs.size();
  Builder builder(*this, needs);
  if (builder.lacks_derivative()) return;
  saved_ = builder.choose_saved(forward_.outputs);
  for (size_t i = 0; i < forward_.outputs.size(); ++i)
    if (builder.needs_gradient(int(group.arguments.size()) + forward_.outputs[i])) differentiated_.push_back(int(i));
  inputs_ = builder.find_inputs();
  is_supported_ =
      !differentiated_.empty() && differentiated_.size() <= kMaxArguments && inputs_.size() <= kMaxArguments;
}

std::shared_ptr<const DifferentiatedGroup::Backward> DifferentiatedGroup::backward(uint64_t needs,
                                                                                   uint64_t given) const {
  const std::lock_guard lock(mutex_);
  for (const std::shared_ptr<const Backward>& known : backwards_)
    if (known->needs == needs && known->given == given) return known;
  auto made = std::make_shared<Backward>();
  made->needs = needs;
  made->given = given;
  uint64_t arguments = 0;
  for (size_t i = 0; i < inputs_.size(); ++i)
    if (has(needs, i)) arguments |= uint64_t(1) << inputs_[i].argument;
  Builder(*this, arguments).build(*made);
  return backwards_.emplace_back(std::move(made));
}

// The derivative of one run of the group.
struct DifferentiatedGroup::Derivative {
  std::shared_ptr<const DifferentiatedGroup> group;
  // For each argument of the run: its value if it is a computed number, otherwise None. Empty if there are no computed
  // numbers.
  Values numbers;

  void operator()(const Context& context) const {
    uint64_t needs = 0, given = 0;
    for (size_t i = 0; i < group->inputs_.size(); ++i) needs |= uint64_t(context.needs(int(i))) << i;
    for (size_t i = 0; i < group->differentiated_.size(); ++i)
      given |= uint64_t(context.gradient(int(i)).defined()) << i;
    const std::shared_ptr<const Backward> backward = group->backward(needs, given);
    const Values values = arguments(context);
    const FusedGroup& steps = backward->group;
    const Values results = recording_enabled() ? one_by_one(steps, values) : run(steps, values);
    for (const auto& [input, source] : backward->gradients) {
      const auto output = std::ranges::find(steps.outputs, source.number);
      const Value& gradient =
          source.is_step ? results[size_t(output - steps.outputs.begin())] : values[size_t(source.number)];
      context.set(input, std::get<Tensor>(gradient));
    }
  }

 private:
  // Returns the arguments of the backward pass.
  Values arguments(const Context& context) const {
    Values values = numbers;
    values.resize(group->forward_.arguments.size());
    for (size_t i = 0; i < values.size(); ++i)
      if (group->forward_.arguments[i].kind == Program::Body::Argument::Constant)
        values[i] = group->forward_.arguments[i].value;
    for (size_t i = 0; i < group->saved_.size(); ++i) {
      const int value = group->saved_[i];
      if (group->is_step(value))
        values.emplace_back(context.saved(int(i)));
      else if (context.saved(int(i)).defined())
        values[size_t(value)] = context.saved(int(i));
    }
    for (size_t i = 0; i < group->differentiated_.size(); ++i) {
      const Tensor& gradient = context.gradient(int(i));
      values.push_back(gradient.defined() ? Value(gradient) : Value(None()));
    }
    return values;
  }

  static Values run(const FusedGroup& group, const Values& values) {
    if (group.outputs.empty()) return {};
    SmallVector<const Value*, 16> pointers;
    for (const Value& value : values) pointers.push_back(&value);
    Values results;
    if (!run_fused(group, pointers.data(), results)) return one_by_one(group, values);
    return results;
  }

  static Values one_by_one(const FusedGroup& group, const Values& values) {
    std::vector<Tensor> computed;
    const auto tensor_of = [&](const StepOperand& o) {
      if (o.is_step) return computed[size_t(o.number)];
      const Tensor* const t = std::get_if<Tensor>(&values[size_t(o.number)]);
      return t ? *t : wrapped_number(GroupPlan::number_of(values[size_t(o.number)]));
    };
    for (const FusedStep& step : group.steps) {
      SmallVector<Tensor, kMaxChainOperands> operands;
      for (const StepOperand& o : step.operands) operands.push_back(tensor_of(o));
      computed.push_back(step.derivative < 0 ? value(step, operands.data()) : gradient(step, operands.data()));
    }
    Values out;
    for (const int step : group.outputs) out.emplace_back(computed[size_t(step)]);
    return out;
  }

  static Tensor value(const FusedStep& step, const Tensor* operands) {
    Operand given[kMaxOperands] = {0, 0, 0};
    for (size_t k = 0; k < step.operands.size(); ++k) given[k] = operands[k];
    return pointwise(step.row, given);
  }
  static Tensor gradient(const FusedStep& step, const Tensor* operands) {
    const PointwiseRow& row = row_of(step.row);
    Tensor values[kMaxOperands + 1];
    for (int k = 0, next = 1; k <= row.arity; ++k)
      if (has(row.reads[step.derivative], size_t(k))) values[k] = operands[next++];
    return derivative_expression(row, step.derivative, operands[0], values);
  }
};

bool DifferentiatedGroup::run(const std::shared_ptr<const DifferentiatedGroup>& self, Arguments arguments,
                              Values& results) {
  const size_t count = self->forward_.arguments.size();
  static const Tensor none;
  SmallVector<Tensor, 8> held;  // these references prevent results from reusing the memory of these arguments
  Values numbers;
  SmallVector<const Tensor*, 8> inputs;
  for (size_t i = 0; i < count; ++i) {
    const Tensor* const t = std::get_if<Tensor>(arguments[i]);
    const bool needs_gradient = has(self->needs_, i);
    if (!t && self->forward_.arguments[i].kind != Program::Body::Argument::Constant) {
      numbers.resize(count);
      numbers[i] = *arguments[i];
    }
    if (t && (needs_gradient || std::ranges::count(self->saved_, int(i)))) held.push_back(*t);
  }
  for (const Input& input : self->inputs_) inputs.push_back(std::get_if<Tensor>(arguments[input.argument]));
  {
    const NoRecording off;
    const std::shared_ptr<const GroupPlan> plan = self->forward_.plans.find(self->forward_, arguments);
    if (!plan->is_uniform()) return false;
    plan->run(arguments, results);
  }
  SmallVector<const Tensor*, 8> saved, outputs;
  for (const int value : self->saved_) {
    if (!self->is_step(value)) {
      const Tensor* const t = std::get_if<Tensor>(arguments[value]);
      saved.push_back(t ? t : &none);
    } else {
      const auto at = std::ranges::find(self->forward_.outputs, self->step_of(value));
      saved.push_back(&std::get<Tensor>(results[size_t(at - self->forward_.outputs.begin())]));
    }
  }
  for (const int i : self->differentiated_) outputs.push_back(&std::get<Tensor>(results[size_t(i)]));
  Recording recording{"FusedPointwise",    Recording::kFresh, outputs.data(),
                      int(outputs.size()), inputs.data(),     int(inputs.size()),
                      saved.data(),        int(saved.size()), Derivative{self, std::move(numbers)}};
  recording.wants_zeros = false;
  autograd_hooks->record(recording);
  results.resize(self->results_);
  return true;
}

std::shared_ptr<const DifferentiatedGroup> DerivativeCache::find(const FusedGroup& group, uint64_t needs) {
  const std::lock_guard lock(mutex_);
  if (const auto known = groups_.find(needs); known != groups_.end()) return known->second;
  if (groups_.size() == kCapacity) groups_.clear();
  return groups_[needs] = std::make_shared<const DifferentiatedGroup>(group, needs);
}

uint64_t needed_gradients(const FusedGroup& group, const Value* const* arguments) {
  if (!group.can_record || recording_modes() != modes::kGraph || group.arguments.size() > kMaxArguments) return 0;
  uint64_t needs = 0;
  for (size_t i = 0; i < group.arguments.size(); ++i)
    if (const Tensor* const t = std::get_if<Tensor>(arguments[i]))
      needs |= uint64_t(t->defined() && t->requires_grad()) << i;
  return needs;
}

bool run_recorded(const FusedGroup& group, uint64_t needs, const Value* const* arguments, Values& results) {
  const std::shared_ptr<const DifferentiatedGroup> differentiated = group.derivatives.find(group, needs);
  return differentiated->is_supported() && DifferentiatedGroup::run(differentiated, arguments, results);
}

}  // namespace flambeau::program
