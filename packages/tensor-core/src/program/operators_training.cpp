// Operators of training steps: the backward pass, gradients of leaves, steps of optimizers. Note [Training programs]
//
// Note [Training programs]
// flambeau.compile captures a training step as one program. The backward pass and the step of an optimizer are single
// instructions, which run as in eager mode, because the forward operators of the program record the same graph.
// Gradients, parameters and the optimizer's state are tensors of the program's state. Options of an optimizer, such as
// the learning rate, are numbers of the state, which the caller reads at each run.
//
// The first change by a run cannot be undone. Therefore the program begins with checks of everything that it depends
// on: which leaves have gradients, and which tensors of the optimizer's state exist.
#include <algorithm>
#include <span>

#include "flambeau/operators/optimizer.h"
#include "flambeau/training_hooks.h"
#include "program/operators.h"

namespace flambeau::program {

namespace {

void run_backward(const Tensor& t, const Tensor& gradient, bool keep_graph, bool create_graph,
                  std::optional<Tensors> inputs) {
  require(training_hooks, "backward(): no tensor requires a gradient");
  for (const Tensor& input : inputs.value_or(Tensors()))
    require<TypeError>(input.defined(), "backward(): an input is None");
  training_hooks->backward(t, gradient, keep_graph, create_graph, inputs ? &*inputs : nullptr);
}

const Tensor& gradient_of(const Tensor& t) {
  static const Tensor none;
  const AutogradMeta* const meta = t.impl()->autograd;
  return meta ? meta->grad : none;
}

// `exists`: for each leaf, true if it must have a gradient, false if it must not have one, or None if both are allowed.
void require_gradients(const Tensors& leaves, std::vector<std::optional<bool>> exists) {
  require<ValueError>(leaves.size() == exists.size(), "expected a boolean for each of ", leaves.size(), " leaves");
  for (size_t i = 0; i < leaves.size(); ++i) {
    require<RequirementError>(!training_hooks || !training_hooks->has_accumulation_hooks(leaves[i]),
                              "the program was traced without post-accumulate-grad hooks, but a leaf has one");
    if (!exists[i]) continue;
    require<RequirementError>(gradient_of(leaves[i]).defined() == *exists[i], "the program was traced with a leaf ",
                              *exists[i] ? "that has" : "without", " a gradient");
  }
}

void clear_gradients(const Tensors& leaves) {
  for (const Tensor& leaf : leaves) assign_gradient(leaf, Tensor());
}

const OptimizerRule& rule_of(std::string_view name) {
  const OptimizerRule* const rule = optimizer_rule(name);
  require<ValueError>(rule, "unknown optimizer: ", name);
  return *rule;
}

struct OptimizerOptions {
  double values[OptimizerRule::kOptions] = {};
  OptimizerOptions(const OptimizerRule& rule, std::span<const double> given) {
    size_t count = 0;
    while (rule.options[count]) ++count;
    require<ValueError>(given.size() == count, rule.name, " has ", count, " options, got ", given.size());
    std::ranges::copy(given, values);
  }
};

void require_state(std::string_view name, std::vector<double> given, std::vector<bool> exists) {
  const OptimizerRule& rule = rule_of(name);
  const OptimizerOptions options(rule, given);
  for (size_t i = 0; rule.states[i]; ++i)
    require<RequirementError>(i < exists.size() && rule.needs(int(i), options.values) == exists[i],
                              "the program was traced with options of ", name, " that ",
                              i < exists.size() && exists[i] ? "use" : "do not use", " the state ", rule.states[i]);
}

// `gradients`: None means the gradients of the parameters. `states`: for each parameter its step number, its scalars
// and its state tensors, if the rule uses them.
void step_optimizer(std::string_view name, std::vector<double> given, const Tensors& parameters,
                    std::optional<Tensors> gradients, const Tensors& states) {
  const OptimizerRule& rule = rule_of(name);
  const OptimizerOptions options(rule, given);
  require<ValueError>(!gradients || gradients->size() == parameters.size(), "expected a gradient for each of the ",
                      parameters.size(), " parameters");
  size_t next = 0;
  const auto take = [&] {
    require<ValueError>(next < states.size(), "the state of ", name, " has too few tensors");
    return states[next++];
  };
  std::vector<OptimizerTarget> targets(parameters.size());
  for (size_t k = 0; k < targets.size(); ++k) {
    OptimizerTarget& target = targets[k];
    target.parameter = parameters[k];
    target.gradient = gradients ? (*gradients)[k] : gradient_of(parameters[k]);
    require(target.gradient.defined(), "a parameter has no gradient; a hook may have removed it");
    if (rule.counts) target.number = take();
    for (size_t i = 0; rule.scalars[i]; ++i) target.scalars[i] = take();
    for (size_t i = 0; rule.states[i]; ++i)
      if (rule.needs(int(i), options.values)) target.states[i] = take();
  }
  optimizer_step(rule, options.values, targets);
}

}  // namespace

Family training_operators() {
  Family all = {
      op("run_backward", run_backward, {1}),      op("gradient_of", [](const Tensor& t) { return gradient_of(t); }),
      op("set_gradient", assign_gradient, {1}),   op("clear_gradients", clear_gradients),
      op("require_gradients", require_gradients), op("require_state", require_state),
      op("step_optimizer", step_optimizer),       op("set_grad_mode", [](bool enabled) { set_grad_mode(enabled); }),
  };
  for (Operator& o : all) o.orders_others = true;
  return all;
}

}  // namespace flambeau::program
