// A mutex that is unlocked in a forked child process, in which only the thread that called fork exists.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "flambeau/macros.h"

namespace flambeau {

// If a thread holds an ordinary mutex while another thread forks, the child waits for the mutex forever. Use this class
// for a lock that threads hold without the GIL. The data under the lock must stay usable if a fork interrupts a change
// of it.
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
  // The number of forks between the first process and this process.
  FLAMBEAU_API static uint64_t current_process();

  // Replace the mutex of the parent process. The mutex is not freed, because a thread of the parent may hold it.
  Owned* renew(Owned* parents) {
    Owned* own = new Owned{current_process(), {}};
    if (owned_.compare_exchange_strong(parents, own)) return own;
    delete own;
    return parents;  // another thread's replacement, which compare_exchange_strong loaded
  }

  std::atomic<Owned*> owned_;
};

}  // namespace flambeau
