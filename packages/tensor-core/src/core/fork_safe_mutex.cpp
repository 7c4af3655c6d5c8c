// The number of forks. With it, a mutex detects that its process was forked.
#include "flambeau/fork_safe_mutex.h"

#include "platform/process.h"

namespace flambeau {

uint64_t ForkSafeMutex::current_process() {
  static std::atomic<uint64_t> forks{0};
  static const bool registered = (platform::after_fork_in_child([] { forks.fetch_add(1); }), true);
  (void)registered;
  return forks.load(std::memory_order_relaxed);
}

}  // namespace flambeau
