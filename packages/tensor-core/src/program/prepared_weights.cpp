// The cache of folded and packed weights. Note [Prepared weights]
#include "program/prepared_weights.h"

namespace flambeau::program {

WeightCache::~WeightCache() { release_panels(); }

WeightCache::States WeightCache::states_of(std::span<const Tensor> tensors) {
  States out;
  for (const Tensor& t : tensors) {
    if (t.defined())
      out.push_back({t, t.bytes(), t.storage().version(), t.shape(), t.strides(), t.dtype()});
    else
      out.emplace_back();
  }
  return out;
}

std::shared_ptr<const PreparedWeights> WeightCache::current(std::span<const Tensor> tensors, bool packed) {
  const std::lock_guard lock(mutex_);
  if (!prepared_ || (packed && !prepared_->is_packed) || states_.size() != tensors.size() ||
      uncounted_ != uncounted_changes())
    return nullptr;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& t = tensors[i];
    const State& s = states_[i];
    if (!t.same(s.tensor)) return nullptr;
    if (t.defined() && (t.bytes() != s.data || t.storage().version() != s.version || t.dtype() != s.dtype ||
                        !(t.shape() == s.shape) || !(t.strides() == s.strides)))
      return nullptr;
  }
  return prepared_;
}

std::shared_ptr<const PreparedWeights> WeightCache::keep(States states, uint64_t uncounted,
                                                         std::shared_ptr<PreparedWeights> made) {
  const std::lock_guard lock(mutex_);
  release_panels();
  if (made->panels.defined()) {
    const int64_t bytes = int64_t(made->panels.storage().bytes());
    if (packed_->fetch_add(bytes) + bytes > kMaxPackedBytes) {
      packed_->fetch_sub(bytes);
      made->panels = {};
    }
  }
  states_ = std::move(states);
  uncounted_ = uncounted;
  prepared_ = made;
  return made;
}

void WeightCache::forget() {
  const std::lock_guard lock(mutex_);
  release_panels();
  states_.clear();
}

void WeightCache::release_panels() {
  if (prepared_ && prepared_->panels.defined()) packed_->fetch_sub(int64_t(prepared_->panels.storage().bytes()));
  prepared_ = nullptr;
}

}  // namespace flambeau::program
