// The optimizer rules of the kernel table. Note [Optimizer rules] in flambeau/kernels/optimizer_rule.h
#include "flambeau/kernels/optimizer_rules.h"

#include <algorithm>
#include <iterator>

#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

template <class Rule>
void prepare(const OptimizerStep& step, double* coefficients) {
  store_coefficients<Rule>(Rule::prepare(step), coefficients);
}

template <class Rule, class T>
void apply(char* const* at, int64_t n, const double* coefficients) {
  const auto of = [&](int i) { return reinterpret_cast<T*>(at[i]); };
  Rule::template apply<T>(of(0), of(1), of(2), of(3), of(4), n, load_coefficients<Rule, T>(coefficients));
}

template <class Rule>
OptimizerRule rule() {
  OptimizerRule out{};
  out.name = Rule::name;
  std::copy(std::begin(Rule::options), std::end(Rule::options), out.options);
  std::copy(std::begin(Rule::states), std::end(Rule::states), out.states);
  std::copy(std::begin(Rule::scalars), std::end(Rule::scalars), out.scalars);
  out.counts = Rule::counts;
  out.needs = Rule::needs;
  out.initial = Rule::initial;
  out.initial_scalar = Rule::initial_scalar;
  out.prepare = prepare<Rule>;
  out.apply[0] = apply<Rule, float>;
  out.apply[1] = apply<Rule, double>;
  return out;
}

}  // namespace

void fill_optimizer(Table& table) {
  static const OptimizerRule rules[] = {
#define RULE(name) rule<name>(),
      FLAMBEAU_OPTIMIZER_RULES(RULE)
#undef RULE
  };
  table.optimizers = rules;
  table.optimizer_count = int(std::size(rules));
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
