// Runs a kernel's grid on the calling thread: block after block; the threads of a cooperative block take turns.
#pragma once

#include <string>

#include "kernel_interface.h"

namespace emulated {

// What a module tells its threads about themselves, and how they reach the driver.
struct ModuleVariables {
  uint3 *thread_index, *block_index;
  dim3 *block_size, *grid_size;
  const Services** services;
  // The block of the host's thread-local variables in which shared memory lies: by one address in it.
  void* (*shared_memory)();
  size_t shared_offset, shared_bytes;
};

struct Failure {
  int error = 0;
  std::string message;
};

extern const Services kServices;

// One launch at a time. The failure is that of the first thread that failed; the others are abandoned then.
Failure execute(const Kernel& kernel, const ModuleVariables& variables, const void* arguments, dim3 grid, dim3 block);

}  // namespace emulated
