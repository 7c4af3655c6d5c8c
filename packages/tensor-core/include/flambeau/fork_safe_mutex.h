// A mutex that is free in a forked child, whose only thread is the one that forked. Internal.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <new>

#include "flambeau/macros.h"

namespace flambeau {

// If a thread holds an ordinary mutex while another forks, the child waits for it forever. Use this class for a lock
// that threads hold without the GIL. The data under the lock must stay usable if a fork interrupts a change of it.
class ForkSafeMutex {
 public:
  ForkSafeMutex() : process_(current_process()), mutex_() {}
  ForkSafeMutex(const ForkSafeMutex&) = delete;
  ForkSafeMutex& operator=(const ForkSafeMutex&) = delete;

  void lock() {
    if (process_.load(std::memory_order_acquire) != current_process()) renew();
    mutex_.lock();
  }
  void unlock() { mutex_.unlock(); }

 private:
  static constexpr uint64_t kRenewing = ~uint64_t(0);
  // The number of forks between the first process and this one.
  FLAMBEAU_API static uint64_t current_process();

  // Replace the parent's mutex. One thread of the child does so while others wait.
  void renew() {
    const uint64_t current = current_process();
    uint64_t old = process_.load(std::memory_order_acquire);
    while (old != current) {
      if (old != kRenewing && process_.compare_exchange_weak(old, kRenewing, std::memory_order_acq_rel)) {
        new (&mutex_) std::mutex;
        process_.store(current, std::memory_order_release);
        return;
      }
      old = process_.load(std::memory_order_acquire);
    }
  }

  std::atomic<uint64_t> process_;
  std::mutex mutex_;
};

}  // namespace flambeau
