// Processors and their caches.
#pragma once

#include <cstdint>

namespace flambeau::platform {

// Returns the number of processors that this process may use: the smallest of the numbers that the computer has, that
// the affinity mask allows, and that the quotas of control groups allow, rounded up (the last two on Linux).
int available_processors();

// Returns the size of the second-level cache of a core in bytes, or 0 if the system does not say.
int64_t second_level_cache();

// Tells the processor that the calling thread waits in a loop.
inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace flambeau::platform
