// Accumulation of gradients in leaves.
#include <mutex>
#include <optional>

#include "dispatched.h"
#include "flambeau/interpreter.h"
#include "node.h"

namespace flambeau::autograd {

AccumulateGrad::AccumulateGrad(const Tensor& leaf) : Node(nullptr), leaf_(leaf) {
  name_ = "AccumulateGrad";
  outputs.push_back({leaf.shape(), leaf.dtype()});
  take_number();
  meta_of(leaf).accumulator = this;
}
AccumulateGrad::~AccumulateGrad() {
  if (AutogradMeta* meta = leaf_.impl()->autograd; meta && meta->accumulator == this) meta->accumulator = nullptr;
}

void AccumulateGrad::apply(const Tensor* gradients, Tensor*, const bool*) {
  AutogradMeta& meta = meta_of(leaf_);
  if (FLAMBEAU_LIKELY(gradients[0].defined())) accumulate_into(meta.grad, gradients[0]);
  if (FLAMBEAU_UNLIKELY(grad_enabled() && meta.grad.defined() && meta.grad.requires_grad())) suspect_cycle(leaf_);
  if (is_observed()) call_accumulation_hooks(leaf_);
}

void AccumulateGrad::check(const Tensor& gradient) const {
  const AutogradMeta* meta = leaf_.impl()->autograd;
  if (!meta || !meta->grad.defined() || !gradient.defined()) return;
  require(meta->grad.shape() == gradient.shape(), "a gradient of shape ", gradient.shape(),
          " cannot be added to the .grad of a leaf, which has shape ", meta->grad.shape());
}

bool AccumulateGrad::is_observed() const {
  const AutogradMeta* meta = leaf_.impl()->autograd;
  return meta && meta->hooks && !static_cast<LeafHooks*>(meta->hooks.get())->post_accumulate.empty();
}

namespace {

// Serialises threads that add to the .grad of one leaf. Waits without the GIL, which the other thread needs.
class AccumulationLock {
 public:
  explicit AccumulationLock(const Tensor* slot) : lock_(mutex_of(slot), std::try_to_lock) {
    if (lock_) return;
    const GilRelease release(GilRelease::Wait);
    lock_.lock();
  }

 private:
  static std::recursive_mutex& mutex_of(const Tensor* slot) {
    constexpr size_t kMutexes = 64;
    static auto* const mutexes = new std::recursive_mutex[kMutexes];
    return mutexes[reinterpret_cast<size_t>(slot) / 64 % kMutexes];
  }
  std::unique_lock<std::recursive_mutex> lock_;
};

constexpr int64_t kAtOnce = 1024;  // up to this number of elements, gradients are added without releasing the GIL

}  // namespace

// The first gradient becomes .grad itself if nothing else references it. Later gradients are added in place, unless
// create_graph=True requires that the sum is recorded.
void accumulate_into(Tensor& slot, const Tensor& gradient) {
  std::optional<AccumulationLock> lock;
  if (gradient.numel() > kAtOnce) lock.emplace(&slot);
  if (is_dispatched(gradient) || (slot.defined() && is_dispatched(slot))) {
    const Tensor former = slot;
    if (former.defined())
      slot = sum_of(former, gradient);
    else
      slot = grad_enabled() || gradient.impl()->use_count() == 1 ? gradient : dispatched_gradients->clone(gradient);
    return;
  }
  if (!slot.defined()) {
    const bool owned = gradient.impl()->use_count() == 1 && gradient.storage().use_count() == 1 &&
                       gradient.is_contiguous() && !gradient.impl()->base;
    slot = owned || grad_enabled() ? (gradient.is_contiguous() ? gradient : clone(gradient)) : clone(gradient);
    if (grad_enabled() && !owned && !gradient.requires_grad()) slot = clone(gradient);
    return;
  }
  if (grad_enabled()) {
    const Tensor former = slot;
    slot = add(former, gradient);
    return;
  }
  const Tensor sum = slot;  // another thread may replace .grad in the meantime
  const Operand operands[] = {sum, gradient};
  pointwise_(op::add, operands);
}

}  // namespace flambeau::autograd
