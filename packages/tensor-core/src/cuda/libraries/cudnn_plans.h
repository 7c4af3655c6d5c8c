// The plans of a GPU's cuDNN graphs. Each plan is made at its first use.
#pragma once

#include <deque>
#include <map>
#include <mutex>

#include "cuda/libraries/cudnn_graph.h"
#include "cuda/runtime/allocator.h"
#include "cuda/runtime/devices.h"

namespace flambeau::cuda {

// The library's handle for a GPU. Only the thread that has locked its mutex may use it.
class CudnnGpu {
 public:
  explicit CudnnGpu(int device) : device_(device) {
    activate(device);
    handle_ = create_cudnn_handle();
  }
  CudnnHandle* handle() const { return handle_; }
  std::mutex& mutex() { return mutex_; }
  // Submits a graph to the current stream. Returns false if the library returns an error.
  bool run(const CudnnGraphPlan& plan, const GraphMemory& memory, void* workspace) {
    activate(device_);
    const std::lock_guard lock(mutex_);
    return plan.run(handle_, current_stream(device_), memory, workspace);
  }

 private:
  const int device_;
  CudnnHandle* handle_ = nullptr;
  std::mutex mutex_;
};

// The plans of graphs that depend only on a key.
template <class Key>
class CudnnPlans {
 public:
  explicit CudnnPlans(int device) : device_(device), gpu_(of_device<CudnnGpu>(device)) {}

  // Runs the graph of a key. `make(handle, limits)` returns a plan within the limits; one thread at a time calls it. If
  // there is not enough memory for the workspace of the preferred implementation, uses an implementation that needs
  // less. Returns false if the library does not support the graph or fails to run it; later calls with the same key
  // then also return false.
  template <class Make>
  bool run(const Key& key, const GraphMemory& memory, GraphLimits limits, const Make& make) {
    if (!gpu_.handle()) return false;
    for (size_t i = 0; const CudnnGraphPlan* plan = plan_for(key, i, limits, make); ++i) {
      limits.workspace = plan->workspace() - 1;
      const std::optional<Tensor> room = workspace(size_t(plan->workspace()));
      if (!room) continue;
      if (gpu_.run(*plan, memory, plan->workspace() ? room->device_bytes() : nullptr)) return true;
      const std::lock_guard lock(gpu_.mutex());
      known_.at(key).usable = false;
      return false;
    }
    return false;
  }

 private:
  struct Entry {
    std::deque<CudnnGraphPlan> plans;  // with ever smaller workspaces; null marks the end of the list
    bool usable = true;
  };

  // Returns the plan with this index, or null if it does not exist.
  template <class Make>
  const CudnnGraphPlan* plan_for(const Key& key, size_t index, const GraphLimits& limits, const Make& make) {
    const std::lock_guard lock(gpu_.mutex());
    Entry& entry = known_[key];
    if (index == entry.plans.size()) {
      activate(device_);
      entry.plans.push_back(make(gpu_.handle(), limits));
    }
    const CudnnGraphPlan& plan = entry.plans[index];
    return plan && entry.usable ? &plan : nullptr;
  }

  const int device_;
  CudnnGpu& gpu_;  // its mutex also guards the plans
  std::map<Key, Entry> known_;
};

}  // namespace flambeau::cuda
