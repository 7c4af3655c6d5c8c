// Execution of groups of operators. Note [Fusion]
#include "program/fusion.h"

#include "program/differentiated_group.h"
#include "program/group_plan.h"

namespace flambeau::program {

std::shared_ptr<const GroupPlan> PlanCache::find(const FusedGroup& group, Arguments arguments) {
  {
    const std::lock_guard lock(mutex_);
    for (size_t i = 0; i < plans_.size(); ++i) {
      if (!plans_[i]->serves(arguments)) continue;
      std::rotate(plans_.begin(), plans_.begin() + i, plans_.begin() + i + 1);
      return plans_[0];
    }
  }
  auto made = std::make_shared<const GroupPlan>(group, arguments);
  const std::lock_guard lock(mutex_);
  if (plans_.size() == kMaxPlans) plans_.pop_back();
  plans_.push_back(made);
  std::rotate(plans_.begin(), plans_.end() - 1, plans_.end());
  return made;
}

bool run_fused(const FusedGroup& group, const Value* const* arguments, Values& results) {
  try {
    if (const uint64_t needs = needed_gradients(group, arguments))
      return run_recorded(group, needs, arguments, results);
    const std::shared_ptr<const GroupPlan> plan = group.plans.find(group, arguments);
    if (!plan->has_chain()) return false;
    plan->run(arguments, results);
  } catch (const Error&) {
    results.clear();
    return false;  // the operators raise the error again, with their name and source line
  }
  return true;
}

}  // namespace flambeau::program
