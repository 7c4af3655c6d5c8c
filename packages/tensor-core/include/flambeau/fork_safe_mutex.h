// A mutex that is unlocked in a forked child process, whose only thread is the one that called fork. Internal.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "flambeau/macros.h"

namespace flambeau {

// If a thread holds an ordinary mutex while another forks, the child waits for it forever. Use this class for a lock
// that threads hold without the GIL. The data under the lock must stay usable if a fork interrupts a change of it.
class ForkSafeMutex {
 public:
  ForkSafeMutex() : owned_(new Owned{current_process(), {}}) {}
  ForkSafeMutex(const ForkSafeMutex&) = delete;
  ForkSafeMutex& operator=(const ForkSafeMutex&) = delete;
  ~ForkSafeMutex() { delete owned_.load(); }

  void lock() {
    Owned* owned = owned_.load(std::memory_order_acquire);
    if (owned->process != current_process()) owned = renew(owned);
    owned->mutex.lock();
  }
  void unlock() { owned_.load(std::memory_order_acquire)->mutex.unlock(); }

 private:
  struct Owned {
    uint64_t process;
    std::mutex mutex;
  };
  // The number of forks between the first process and this one.
  FLAMBEAU_API static uint64_t current_process();

  // Replace the mutex of the parent process. It is not freed, since a thread of the parent may hold it.
  Owned* renew(Owned* parents) {
    Owned* own = new Owned{current_process(), {}};
    if (owned_.compare_exchange_strong(parents, own)) return own;
    delete own;
    return parents;  // another thread's replacement, which compare_exchange_strong loaded
  }

  std::atomic<Owned*> owned_;
};

}  // namespace flambeau
