// Pinned memory of the host.
#include <mutex>
#include <unordered_set>

#include "cuda/devices.h"

namespace flambeau::cuda {

namespace {
thread_local bool non_blocking = false;

std::mutex mutex;
std::unordered_set<const void*>& pinned() {
  static auto* once = new std::unordered_set<const void*>;
  return *once;
}

void free_pinned(void* memory) {
  driver().cuMemFreeHost(memory);  // waits for copies that still read it
  const std::lock_guard lock(mutex);
  pinned().erase(memory);
}
}  // namespace

Ref<Storage> pinned_storage(size_t bytes) {
  constexpr unsigned kForAllDevices = 1;
  void* memory = nullptr;
  check(activate(current_device()).cuMemHostAlloc(&memory, bytes ? bytes : 1, kForAllDevices),
        "allocating pinned memory");
  {
    const std::lock_guard lock(mutex);
    pinned().insert(memory);
  }
  return Storage::wrap(memory, bytes, free_pinned, memory);
}
bool is_pinned(const Storage& storage) {
  if (storage.device().type != DeviceType::Cpu) return false;
  const std::lock_guard lock(mutex);
  return pinned().contains(storage.data());
}

NonBlocking::NonBlocking(bool wanted) : former_(std::exchange(non_blocking, wanted)) {}
NonBlocking::~NonBlocking() { non_blocking = former_; }
bool waits(const Storage& host) { return !(non_blocking && is_pinned(host)); }

}  // namespace flambeau::cuda
