// Processors and their caches.
#pragma once

#include <cstdint>

namespace flambeau::platform {

// Returns the number of processors that this process may use. This is the number of the computer's processors. On
// Linux, the affinity mask and the quotas of control groups (rounded up) can reduce it.
int available_processors();

// Returns the size in bytes of a core's second-level cache, or 0 if the system does not report it.
int64_t second_level_cache();

// Returns true if this process may use Intel's Advanced Matrix Extensions (AMX). Linux has to allow this first, because
// the AMX registers enlarge the state of threads by 8 KiB.
bool enable_amx();

// Notifies the processor that the calling thread is waiting in a loop.
inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace flambeau::platform
