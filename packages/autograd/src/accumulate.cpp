// Accumulation of gradients in leaves.
#include <mutex>
#include <optional>

#include "dispatched.h"
#include "flambeau/interpreter.h"
#include "flambeau/memory_format.h"
#include "node.h"

namespace flambeau::autograd {

AccumulateGrad::AccumulateGrad(const Tensor& leaf) : Node(nullptr), leaf_(leaf) {
  outputs.push_back({leaf.shape(), leaf.dtype()});
  take_number();
  meta_of(leaf).accumulator = this;
}
AccumulateGrad::~AccumulateGrad() {
  if (AutogradMeta* meta = leaf_.impl()->autograd; meta && meta->accumulator == this) meta->accumulator = nullptr;
}

void AccumulateGrad::apply(const Tensor* gradients, Tensor*, const bool*) {
  AutogradMeta& meta = meta_of(leaf_);
  if (FLAMBEAU_LIKELY(gradients[0].defined())) accumulate_into(meta.grad, gradients[0], leaf_);
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

// A lock that serialises threads that add to the .grad of one leaf. It waits without the GIL, because the other thread
// needs the GIL.
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

// Note [Layout of gradients]
// The .grad of a leaf has the strides of the leaf, so that optimizers read both in the same order. If the elements of
// the leaf have gaps or share memory, .grad is contiguous.
bool layouts_agree(const Shape& shape, const Shape& a, const Shape& b) {
  for (size_t i = 0; i < shape.size(); ++i)
    if (shape[i] != 1 && a[i] != b[i]) return false;
  return true;
}

Shape strides_of_gradient(const Tensor& leaf) {
  const bool dense = layouts_agree(leaf.shape(), leaf.strides(), strides_like(leaf, MemoryFormat::Preserve));
  return dense ? leaf.strides() : contiguous_strides(leaf.shape());
}

// Returns true if .grad of the leaf must be contiguous. The shapes differ if an assignment to .data changed the leaf.
bool wants_contiguous(const Tensor& gradient, const Tensor& leaf) {
  return FLAMBEAU_LIKELY(leaf.is_contiguous()) || gradient.shape() != leaf.shape();
}

bool has_layout(const Tensor& gradient, const Tensor& leaf) {
  if (wants_contiguous(gradient, leaf)) return gradient.is_contiguous();
  return layouts_agree(leaf.shape(), gradient.strides(), strides_of_gradient(leaf));
}

Tensor copy_with_layout(const Tensor& gradient, const Tensor& leaf) {
  if (wants_contiguous(gradient, leaf)) return clone(gradient);
  const Tensor out = empty_strided(leaf.shape(), strides_of_gradient(leaf), gradient.dtype());
  copy_(out, gradient);
  return out;
}

// Returns true if a gradient may become a .grad itself: nothing else references its memory, or it is recorded.
bool may_store(const Tensor& gradient) {
  const bool unshared = gradient.impl()->use_count() == 1 && gradient.storage().use_count() == 1;
  return !gradient.impl()->base && (unshared || (grad_enabled() && gradient.requires_grad()));
}

Tensor unshared_dispatched(const Tensor& gradient) {
  return grad_enabled() || gradient.impl()->use_count() == 1 ? gradient : dispatched_gradients->clone(gradient);
}

constexpr int64_t kAtOnce = 1024;  // gradients with at most this number of elements are added with the GIL held

}  // namespace

// The first gradient becomes .grad itself if nothing else references it and it has the layout of the leaf; otherwise it
// is copied. Later gradients are added in place, unless create_graph=True requires that the sum is recorded.
void accumulate_into(Tensor& slot, const Tensor& gradient, const Tensor& leaf) {
  std::optional<AccumulationLock> lock;
  if (gradient.numel() > kAtOnce) lock.emplace(&slot);
  if (is_dispatched(gradient) || (slot.defined() && is_dispatched(slot))) {
    const Tensor former = slot;
    slot = former.defined() ? sum_of(former, gradient) : unshared_dispatched(gradient);
    return;
  }
  if (!slot.defined()) {
    slot = may_store(gradient) && has_layout(gradient, leaf) ? gradient : copy_with_layout(gradient, leaf);
    return;
  }
  if (grad_enabled()) {
    const Tensor former = slot;
    slot = add(former, gradient);
    return;
  }
  const Tensor sum = slot;  // a reference, because another thread may replace .grad during the addition
  const Operand operands[] = {sum, gradient};
  pointwise_(op::add, operands);
}

Tensor unshared(const Tensor& gradient) {
  if (is_dispatched(gradient)) return unshared_dispatched(gradient);
  return may_store(gradient) ? gradient : clone(gradient, MemoryFormat::Preserve);
}

}  // namespace flambeau::autograd
