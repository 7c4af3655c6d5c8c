// Pinned host memory.
//
// Note [Pinned memory]
// Pinning memory is slow, so freed blocks are cached for the next request of their size. Asynchronous copies may still
// use a freed block. Therefore an event is recorded in each stream that used the block, and the block is reused when
// these events have completed. A graph copies at each replay, so it keeps the storages alive until it is destroyed.
#include <algorithm>
#include <bit>
#include <map>
#include <mutex>
#include <unordered_map>

#include "cuda/runtime/devices.h"

namespace flambeau::cuda {

namespace {

thread_local bool non_blocking = false;

// Rounds up to a multiple of a unit. The unit is 4 KiB or, if that is larger, an eighth of the largest power of two
// that is at most `bytes`.
constexpr size_t rounded_size(size_t bytes) {
  constexpr size_t kSmallest = 4096;
  const size_t step = std::max(std::bit_floor(bytes) / 8, kSmallest);
  return std::max((bytes + step - 1) / step, size_t(1)) * step;
}

struct PinnedBlock {
  struct Use {
    int device;
    StreamHandle* stream;
    EventHandle* last;
  };
  size_t size;
  std::vector<Use> uses = {};
};

class PinnedMemory {
 public:
  void* take(size_t bytes) {
    const size_t size = rounded_size(bytes);
    {
      const std::lock_guard lock(mutex_);
      collect();
      if (auto& free = free_[size]; !free.empty()) {
        void* const memory = free.back();
        free.pop_back();
        used_.emplace(memory, PinnedBlock{size});
        return memory;
      }
    }
    void* const memory = pin(size);
    const std::lock_guard lock(mutex_);
    used_.emplace(memory, PinnedBlock{size});
    return memory;
  }

  void free_block(void* memory) {
    const std::lock_guard lock(mutex_);
    auto found = used_.extract(memory);
    pending_.push_back({memory, std::move(found.mapped())});
    collect();
  }

  bool contains(const void* memory) {
    const std::lock_guard lock(mutex_);
    return used_.contains(memory);
  }

  void use(const void* memory, int device, StreamHandle* stream) {
    const std::lock_guard lock(mutex_);
    const auto found = used_.find(memory);
    if (found == used_.end()) return;
    auto& uses = found->second.uses;
    auto same = std::find_if(uses.begin(), uses.end(),
                             [=](const PinnedBlock::Use& u) { return u.device == device && u.stream == stream; });
    if (same == uses.end()) same = uses.insert(same, {device, stream, create_event(device, false)});
    record_event(device, same->last, stream);
  }

  void release() {
    const std::lock_guard lock(mutex_);
    collect();
    for (auto& [size, blocks] : free_)
      for (; !blocks.empty(); blocks.pop_back())
        check(activate(current_device()).cuMemFreeHost(blocks.back()), "freeing pinned memory");
  }

 private:
  struct Pending {
    void* memory;
    PinnedBlock block;
  };

  void* pin(size_t size) {
    constexpr unsigned kForAllDevices = 1;
    void* memory = nullptr;
    const Driver& d = activate(current_device());
    if (d.cuMemHostAlloc(&memory, size, kForAllDevices) == 0) return memory;
    release();
    check(d.cuMemHostAlloc(&memory, size, kForAllDevices), "allocating pinned memory");
    return memory;
  }

  void collect() {
    std::erase_if(pending_, [this](Pending& p) {
      for (const PinnedBlock::Use& use : p.block.uses)
        if (!query_event(use.device, use.last)) return false;
      end_events(p.block);
      free_[p.block.size].push_back(p.memory);
      return true;
    });
  }
  static void end_events(const PinnedBlock& block) {
    for (const PinnedBlock::Use& use : block.uses) destroy_event(use.device, use.last);
  }

  std::mutex mutex_;
  std::unordered_map<const void*, PinnedBlock> used_;
  std::map<size_t, std::vector<void*>> free_;
  std::vector<Pending> pending_;
};

PinnedMemory& pinned() {
  static auto* once = new PinnedMemory;  // never destroyed: memory may be freed during exit
  return *once;
}

void free_pinned(void* memory) {
  try {
    pinned().free_block(memory);
  } catch (const Error&) {  // the process ends, or its GPU has failed, so the memory no longer exists
  }
}

}  // namespace

Ref<Storage> pinned_storage(size_t bytes) {
  void* const memory = pinned().take(bytes);
  return Storage::wrap(memory, bytes, free_pinned, memory);
}
bool is_pinned(const Storage& storage) {
  return storage.device().type == DeviceType::Cpu && pinned().contains(storage.data());
}
void use_pinned(const Ref<Storage>& storage, int device, StreamHandle* stream) {
  if (is_capturing(device, stream)) return keep_in_graph(storage, device);
  pinned().use(storage->data(), device, stream);
}
void release_pinned() { pinned().release(); }

NonBlocking::NonBlocking(bool wanted) : former_(std::exchange(non_blocking, wanted)) {}
NonBlocking::~NonBlocking() { non_blocking = former_; }
bool waits(const Storage& host) { return !(non_blocking && is_pinned(host)); }

}  // namespace flambeau::cuda
