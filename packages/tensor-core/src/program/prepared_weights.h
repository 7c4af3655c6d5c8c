// Weights of a merged product in the form that the product reads.
//
// Note [Prepared weights]
// A program caches folded and packed weights for one state of the parameters (Note [Kept values]). In-place changes,
// optimizer steps, load_state_dict and replacements of tensors change the state, and then the weights are prepared
// again. Nothing is cached for parameters that are not private. The packed weights of a program take at most
// kMaxPackedBytes.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "flambeau/kept_values.h"

namespace flambeau::program {

inline constexpr int64_t kMaxPackedBytes = int64_t(1) << 30;

struct PreparedWeights {
  Tensor weight, bias;       // the bias may be undefined
  Tensor panels;             // packed weights (Note [Packed matrices]), or undefined
  bool transformed = false;  // true if the panels contain transformed weights (Note [Winograd])
  bool is_packed = false;    // true if packing was requested, even if kMaxPackedBytes leaves no room for `panels`
};

// The total number of packed bytes of a program.
using PackedBytes = std::shared_ptr<std::atomic<int64_t>>;

class WeightCache {
 public:
  explicit WeightCache(PackedBytes packed = nullptr) : packed_(std::move(packed)) {}
  WeightCache(const WeightCache& other) : packed_(other.packed_) {}
  WeightCache& operator=(const WeightCache&) = delete;
  ~WeightCache();

  // Returns the weights for the current state of the tensors: the cached weights, or the result of prepare(pack), which
  // is then cached. If a tensor is not private, returns the result of prepare(false) and caches nothing. Tensors may be
  // undefined.
  template <class F>
  std::shared_ptr<const PreparedWeights> get(std::span<const Tensor> tensors, bool pack, F&& prepare) {
    for (const Tensor& t : tensors)
      if (t.defined() && !is_private(t)) {
        forget();
        return std::make_shared<PreparedWeights>(prepare(false));
      }
    if (auto known = current(tensors, pack)) return known;
    States states = states_of(tensors);  // read first, so that no later change is missed
    const uint64_t uncounted = uncounted_changes();
    auto made = std::make_shared<PreparedWeights>(prepare(pack));
    made->is_packed = pack;
    return keep(std::move(states), uncounted, std::move(made));
  }

 private:
  struct State {
    Tensor tensor;  // a reference, so that no other tensor gets the same address
    const void* data = nullptr;
    uint32_t version = 0;
    Shape shape = {}, strides = {};
    Dtype dtype = {};
  };
  using States = std::vector<State>;
  static States states_of(std::span<const Tensor> tensors);
  std::shared_ptr<const PreparedWeights> current(std::span<const Tensor> tensors, bool packed);
  std::shared_ptr<const PreparedWeights> keep(States states, uint64_t uncounted, std::shared_ptr<PreparedWeights> made);
  void forget();
  void release_panels();

  PackedBytes packed_;
  // Not held while weights are prepared, because that may release the GIL. A thread holds it only together with the
  // GIL, so no fork interrupts it.
  std::mutex mutex_;
  States states_;
  uint64_t uncounted_ = 0;
  std::shared_ptr<PreparedWeights> prepared_;
};

}  // namespace flambeau::program
